"""What an object is to PyTorch, told without running code of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wardian.tensors.objects import find_compiled_modules, find_training


class Unwilling(nn.Module):
    """A module that refuses to be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.again = self.drop

    def named_modules(self, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("not now")

    @property
    def training(self) -> bool:
        raise RuntimeError("not now")

    @training.setter
    def training(self, mode: bool) -> None:
        """Ignore it."""


def test_modules_are_found_whatever_their_class_answers() -> None:
    held = nn.Sequential(nn.Linear(1, 1), Unwilling(), nn.Dropout(0.0), nn.BatchNorm1d(1))
    assert find_training(held, "model") == ["Dropout (model.1.drop)", "BatchNorm1d (model.3)"]
    assert find_training(held.eval(), "model") == []
    assert find_compiled_modules(held, "model") == []


def test_what_has_no_mode_is_in_none(recwarn: Any) -> None:
    scripted = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Dropout(0.5)).eval()))
    assert find_training(scripted, "model") == []
    assert find_training({"not": "a module"}, "model") == []
