"""What a module and a case have for each other, before anything is filled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import wardian
from wardian.errors import WeightsMismatchError
from wardian.tensors.matching import Compared, compare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    wardian.pack(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), tmp_path / "net.case", prove=False)
    return tmp_path / "net.case"


def _compared(module: nn.Module, path: Path) -> Compared:
    with wardian.open(path) as case:
        return compare(module, case.tensors, assign=False)


def test_each_place_finds_its_name(path: Path) -> None:
    found = _compared(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), path)
    assert [(slot.name, name) for slot, name in found.pairs] == [
        (name, name) for name in ("0.weight", "0.bias", "1.weight", "1.bias")
    ]
    assert found.missing == found.unexpected == found.wrong == []
    found.require("net.case", "Sequential", strict=True)


def test_all_that_does_not_match_is_told_together(path: Path) -> None:
    module = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1, bias=False), nn.BatchNorm1d(1))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = _compared(module, path)
    assert found.unexpected == ["1.bias"]
    assert found.missing[:2] == ["2.weight", "2.bias"]
    assert len(found.wrong) == 3
    with pytest.raises(WeightsMismatchError, match=r"(?s)Missing.*Unexpected.*size mismatch for 0\.weight"):
        found.require("net.case", "Sequential", strict=True)
    with pytest.raises(WeightsMismatchError) as caught:
        found.require("net.case", "Sequential", strict=False)
    assert "Missing" not in str(caught.value)
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
