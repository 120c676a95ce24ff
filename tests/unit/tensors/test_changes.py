"""What a call changes is noted by its place; what is another thing in each run is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.support import importable, write_tree
from wardian.tensors.changes import differences_of_changes, run_noting_changes


class Counting(nn.Module):
    steps: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("steps", torch.zeros(1))
        self.average = nn.Parameter(torch.zeros(2))
        self.calls = 0
        self.seen: list[int] = []
        self.cache: dict[Any, Any] = {}
        self.mode = "cold"
        self.last: torch.Tensor | None = None
        self.kept = torch.ones(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen.append(x.shape[0])
        self.cache["sum"] = float(x.sum())
        self.cache[id(self)] = 1
        self.mode = "warm"
        self.last = x * 2
        self.average.data.mul_(0.5).add_(1.0)  # which no count of changes tells
        self.steps += 1
        result: torch.Tensor = self.norm(x)
        return result


def test_what_a_call_changes_is_noted_by_its_place() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    _, changes = run_noting_changes(Counting(), (x,))
    assert changes.keys() == {
        "object.average",
        "object.cache['sum']",
        "object.calls",
        "object.last",
        "object.mode",
        "object.norm.num_batches_tracked",
        "object.norm.running_mean",
        "object.norm.running_var",
        "object.seen[0]",
        "object.steps",
        "len(object.cache)",
        "len(object.seen)",
    }
    assert (changes["object.calls"], changes["object.mode"], changes["object.seen[0]"]) == (1, "warm", 2)
    assert changes["object.average"].tolist() == [1.0, 1.0]
    assert not changes["object.average"].requires_grad


def test_inputs_that_are_changed_are_noted() -> None:
    def change(x: torch.Tensor, *, sizes: list[int], options: dict[str, Any]) -> None:
        x += 1
        sizes.append(3)
        options["scale"] = 2.0
        del options["old"]

    inputs = {"x": torch.zeros(1), "sizes": [1], "options": {"old": True, "scale": 1.0}}
    _, changes = run_noting_changes(change, inputs)
    assert changes == {
        "inputs['x']": torch.ones(1),
        "len(inputs['sizes'])": 2,
        "inputs['sizes'][1]": 3,
        "inputs['options']['scale']": 2.0,
        "inputs['options']['old']": "(gone)",
        "len(inputs['options'])": 1,
    }


TIMED = """
--- sundial.py
import time

class Timed:
    def __call__(self, x):
        self.began = time.perf_counter()
        self.address = f"at {hex(id(self))}"
        self.nanoseconds = time.time_ns()
        self.day = time.ctime()
        self.known = {id(self): 1}
        return x
"""


def test_times_and_addresses_are_not(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, TIMED)) as load:
        assert run_noting_changes(load("sundial").Timed(), (torch.zeros(1),))[1] == {"len(object.known)": 1}


def test_methods_change_what_they_are_bound_to() -> None:
    assert run_noting_changes(Counting().forward, (torch.ones(2, 2),))[1]["object.__self__.calls"] == 1


def test_what_only_one_of_two_calls_changes_is_a_difference() -> None:
    one = {"inputs[0]": torch.ones(1), "object.calls": 1}
    other = {"inputs[0]": torch.zeros(1), "object.mode": "a"}
    assert [str(difference) for difference in differences_of_changes(one, other)] == [
        "inputs[0] after the call differs by up to 1, its largest value is 1",
        "object.calls is not changed by the call",
        "object.mode is changed by the call",
    ]
    assert differences_of_changes(one, one) == []


class Shy(tuple[Any, ...]):
    __slots__ = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Any:
        raise NotImplementedError


def test_containers_are_asked_by_no_method_of_their_class() -> None:
    class Holding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = Shy([[1], 2])

        def forward(self) -> None:
            self.held[0].append(3)

    _, changes = run_noting_changes(Holding(), ())
    assert changes == {"len(object.held[0])": 2, "object.held[0][1]": 3}
