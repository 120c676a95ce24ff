"""What was mocked in a case is mocked in the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import importable, write_tree

PROJECT = """
--- marsh/__init__.py
import plotlib
import plotlib.axes as axes

class Reed:
    def draw(self):
        return axes.draw(self)

--- plotlib/__init__.py
--- plotlib/axes.py
def draw(what): return what
class Line: pass
class Dot: pass
"""


@pytest.mark.parametrize("prove", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_loaded_object_is_packed_again_with_its_mocks(prove: bool, tmp_path: Path) -> None:
    policy = wardian.Policy(mock="plotlib.**")
    with importable(write_tree(tmp_path, PROJECT)) as load:
        wardian.pack(load("marsh").Reed(), tmp_path / "reed.case", policy=policy, prove=False)
    reed = wardian.load(tmp_path / "reed.case")
    report = wardian.pack(reed, tmp_path / "again.case", prove=prove)
    assert report.manifest.mocks == ("plotlib", "plotlib.axes")
    with pytest.raises(NotImplementedError, match=r"plotlib\.axes\.draw was mocked"):
        wardian.load(tmp_path / "again.case").draw()


def test_objects_of_mocked_classes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as load:
        reed = load("marsh").Reed()
        reed.line = load("plotlib.axes").Line()
        with pytest.raises(wardian.PlanError, match=r"plotlib\.axes\.Line is mocked"):
            wardian.pack(reed, tmp_path / "reed.case", policy=wardian.Policy(mock="plotlib.**"), prove=False)
    assert not (tmp_path / "reed.case").exists()


def _places_refused(held: dict[str, Any], policy: wardian.Policy, folder: Path) -> dict[str, str]:
    """Return what the plan of a reed that holds this is refused for, and where it says that it is."""
    with importable(write_tree(folder, PROJECT)) as load:
        reed, axes = load("marsh").Reed(), load("plotlib.axes")
        reed.line, reed.dots, reed.more = axes.Line(), [axes.Dot(), axes.Line()], {"draw": axes.draw, **held}
        with pytest.raises(wardian.PackError) as caught:
            wardian.pack(reed, folder / "reed.case", policy=policy, prove=False)
    return {problem.what.partition(" ")[0]: "; ".join(problem.chain) for problem in caught.value.problems}


MOCKED = {
    "plotlib.axes.Dot": "model.dots[0] is a plotlib.axes.Dot",
    "plotlib.axes.Line": "model.dots[1] is a plotlib.axes.Line; model.line is a plotlib.axes.Line",
    "plotlib.axes.draw": "model.more['draw'] is a plotlib.axes.draw",
}


def test_objects_of_mocked_classes_are_refused_all_with_their_places(tmp_path: Path) -> None:
    mock, deny = wardian.Policy(mock="plotlib.**"), wardian.Policy(deny="plotlib.axes")
    assert _places_refused({}, mock, tmp_path) == MOCKED
    assert _places_refused({"made": iter_once()}, mock, tmp_path) == {"model.more['made']": "", **MOCKED}
    assert _places_refused({}, deny, tmp_path) == {"plotlib.axes": "; ".join(sorted(MOCKED.values()))}


def iter_once() -> Iterator[int]:
    yield 1
