"""The modules of the functions that a call calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.package.analyze.trace_dependencies import trace_dependencies

LIBRARY = """
--- orchardtraced/__init__.py
from orchardtraced import soil, wind
def grow(deep):
    return soil.dig() if deep else 1
--- orchardtraced/soil.py
from orchardtraced import stones
def dig():
    return stones.lift()
--- orchardtraced/stones.py
def lift(): return 2
--- orchardtraced/wind.py
def blow(): return 3
"""


@pytest.fixture
def grow(tmp_path: Path) -> Any:
    with importable(write_tree(tmp_path, LIBRARY)) as import_module:
        yield import_module("orchardtraced").grow


def test_modules_are_told_in_the_order_of_first_use_over_all_inputs(grow: Any) -> None:
    assert trace_dependencies(grow, [(False,)]) == ["orchardtraced"]
    assert trace_dependencies(grow, [(False,), (True,), (True,)]) == [
        "orchardtraced",
        "orchardtraced.soil",
        "orchardtraced.stones",
    ]
    assert trace_dependencies(grow, []) == []


def test_a_profiler_is_called_as_before_and_there_again(grow: Any) -> None:
    events: list[str] = []

    def profile(frame: Any, event: str, arg: Any) -> None:
        if frame.f_globals.get("__name__", "").startswith("orchardtraced"):
            events.append(event)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        trace_dependencies(grow, [(False,)])
        with pytest.raises(TypeError):
            trace_dependencies(grow, [(1, 2)])
        assert sys.getprofile() is profile
    finally:
        sys.setprofile(before)
    assert events == ["call", "return"]
