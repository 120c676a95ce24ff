"""The object in this process: calls in copies of it, and what its pickle loses."""

from __future__ import annotations

from typing import Any

import torch

from wardian.capture.session import Capture
from wardian.packing.drafting.live_object import LiveObject
from wardian.packing.drafting.origins import Origins


class Counting(torch.nn.Module):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


class Forgetting(torch.nn.Module):
    """Does not write the number into its pickle that its call divides by."""

    parts = 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "parts"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (6 // self.parts)


def _live(calls: dict[str, Any], **objects: Any) -> LiveObject:
    return LiveObject(next(iter(objects)), objects, calls, Capture(Origins()))


def test_a_call_is_made_in_a_copy_of_the_process() -> None:
    model = Counting()
    live = _live({"model": (torch.ones(2),)}, model=model)
    assert live.raised_by_call("model") == ""
    assert model.calls == 0


def test_a_call_that_raises_is_told_and_made_once() -> None:
    live = _live({"model": (torch.ones(2), 3)}, model=Counting())
    told = live.raised_by_call("model")
    assert told is not None
    assert told.startswith("TypeError: ")
    live.calls.clear()  # type: ignore[attr-defined]
    assert live.raised_by_call("model") is told


def test_what_a_pickle_loses_is_found() -> None:
    model = Forgetting()
    model.parts = 2
    lost = _live({"model": (torch.ones(2),)}, model=model).find_loss("model")
    assert lost is not None
    assert lost.startswith("pickling loses model.parts")


def test_one_entry_point_is_the_whole_and_several_are_a_dictionary() -> None:
    one, two = Counting(), torch.nn.Linear
    assert _live({}, model=one).whole is one
    both = _live({}, model=one, head=two)
    assert both.whole == {"model": one, "head": two}
    assert both.classes == {"head": "Linear"}


def test_the_place_of_a_class_is_found() -> None:
    live = _live({}, model=torch.nn.Sequential(torch.nn.ReLU(), Counting()))
    assert live.find_place(__name__, "Counting") == ("model[1]", f"{__name__}.Counting")
    assert live.find_place(__name__, "Nothing") == (None, f"{__name__}.Nothing")
