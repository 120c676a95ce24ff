"""What was mocked in a case is mocked in the next one."""

from __future__ import annotations

from pathlib import Path

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
