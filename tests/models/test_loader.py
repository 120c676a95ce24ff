"""The comparison of the model tests sees what it must see."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
import torch

from tests.models.loader import describe, differences


class _Season(Enum):
    SPRING = "spring"


@dataclass
class _Harvest:
    heights: torch.Tensor
    season: _Season = _Season.SPRING


class _Cache:
    def __init__(self, keys: torch.Tensor) -> None:
        self.keys = keys
        self.owner = self  # a cycle


class _Output(OrderedDict[str, Any]):
    pass


def _output(first: float = 1.0) -> Any:
    tensor = torch.tensor([first, float("nan"), 0.0])
    return _Output(logits=tensor, harvest=_Harvest(tensor), cache=(_Cache(tensor), [None, 3, "fern"]))


def _compare(expected: Any, actual: Any) -> list[str]:
    return list(differences(describe(expected), describe(actual)))


def test_equal_outputs_are_equal_nan_included() -> None:
    assert _compare(_output(), _output()) == []


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        pytest.param(torch.tensor([0.0]), torch.tensor([-0.0]), id="sign of zero"),
        pytest.param(torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64), id="dtype"),
        pytest.param(torch.zeros(2, 1), torch.zeros(1, 2), id="shape"),
        pytest.param([torch.zeros(1)], [torch.zeros(1)] * 2, id="length"),
        pytest.param([torch.zeros(1)], (torch.zeros(1),), id="list or tuple"),
        pytest.param({"a": 1}, {"b": 1}, id="key"),
        pytest.param(_Output(a=1), {"a": 1}, id="class"),
        pytest.param(_Season.SPRING, "spring", id="enum"),
        pytest.param(1, True, id="type of a plain value"),
        pytest.param(None, torch.zeros(1), id="nothing"),
    ],
)
def test_what_differs_is_seen(expected: Any, actual: Any) -> None:
    assert _compare(expected, actual)


def test_a_difference_is_found_wherever_it_is_and_named() -> None:
    found = _compare(_output(), _output(first=1.5))
    assert len(found) == 3
    assert all("values differ, by up to" in line for line in found)
    assert {line.partition(":")[0] for line in found} == {
        "output.items[0][1]",
        "output.items[1][1].fields.heights",
        "output.items[2][1].items[0].attributes.keys",
    }
