"""What is asked of the first instance of a class is not taken for an answer where the next one may differ."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from torch import nn

from wardian.capture.naming import Global
from wardian.capture.session import Capture
from wardian.packing.drafting.origins import Origins
from wardian.pickling.reducers.table import answer_for


class Block(nn.Module):
    """Has a slot, which may be empty."""

    __slots__ = ("scale",)


class Log(io.StringIO):
    """Takes the place of a stream."""


def test_a_slot_that_is_set_is_kept_also_after_one_that_is_not() -> None:
    capture = Capture(Origins())
    empty: Any = Block()
    full: Any = Block()
    full.scale = 2.0
    answer_for(capture, empty)
    assert Block not in capture.left_to_python
    assert answer_for(capture, full)[2][1] == {"scale": 2.0}


def test_a_stream_is_known_also_after_another_object_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    stream: Any = Log()
    monkeypatch.setattr(sys, "stdout", stream)
    capture = Capture(Origins())
    answer_for(capture, Log())
    assert Log not in capture.left_to_python
    assert answer_for(capture, stream) == Global("sys", "stdout")


def test_a_class_that_python_pickles_rightly_is_asked_for_once() -> None:
    capture = Capture(Origins())
    assert answer_for(capture, nn.Linear(1, 1)) is NotImplemented
    assert nn.Linear in capture.left_to_python
