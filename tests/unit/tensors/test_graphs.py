"""What of an object is compiled is found where it will not be when it is loaded."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wardian.tensors.graphs import find_compiled


class Steps(nn.Module):
    step: Any

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)
        self.other = nn.Linear(1, 1)

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def test_compiled_methods_and_modules_are_told_by_their_places() -> None:
    model = Steps()
    assert find_compiled(model, "model") == []
    model.step = torch.compile(model.plain, backend="eager")
    model.inner.compile(backend="eager")
    assert find_compiled(model, "model") == ["model.step", "model.inner"]


def test_a_compiled_module_is_one_that_compiles_itself_again() -> None:
    assert find_compiled(torch.compile(nn.Linear(1, 1), backend="eager"), "model") == []
