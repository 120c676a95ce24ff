"""What the command line does with tensors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from wardian.tensors.files import call, evaluate, is_module, read_arguments, save


def test_only_a_module_is_one() -> None:
    assert is_module(nn.Identity())
    assert not is_module(nn.Identity)
    assert not is_module(torch.ones(1))


def test_an_expression_knows_torch_and_no_names_of_ours() -> None:
    assert evaluate("torch.ones(2).sum().item() + len('ab')") == 4.0
    with pytest.raises(NameError):
        evaluate("nn")


def test_a_call_takes_arguments_by_place_or_by_name_and_needs_no_gradients() -> None:
    def called(*given: Any, **named: Any) -> Any:
        return given, named, torch.is_grad_enabled()

    assert call(called, (1, 2)) == ((1, 2), {}, False)
    assert call(called, {"x": 1}) == ((), {"x": 1}, False)


def test_tensors_and_plain_data_are_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "inputs.pt"
    save((torch.arange(3), {"mask": None}), path)
    values, options = read_arguments(path)
    assert (values.tolist(), options) == ([0, 1, 2], {"mask": None})
    save(nn.Identity(), path)
    with pytest.raises(pickle.UnpicklingError):
        read_arguments(path)


def test_a_result_that_cannot_be_saved_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result.pt"
    path.write_bytes(b"yesterday's")
    with pytest.raises(AttributeError):
        save(lambda: None, path)
    assert path.read_bytes() == b"yesterday's"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        save(1, tmp_path / "nowhere" / "result.pt")
