"""Folders tell their tour, and unit tests lie where their module does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parents[2] / "src" / "wardian"
_UNIT = Path(__file__).parent
_MODULES = {
    path.relative_to(_SOURCE).with_suffix("").as_posix()
    for path in _SOURCE.rglob("*.py")
    if path.name != "__init__.py"
}
_TESTED = {
    (path.parent / path.stem.removeprefix("test_")).relative_to(_UNIT).as_posix()
    for path in _UNIT.rglob("test_*.py")
}
_OF_NO_MODULE = {
    "archive/interoperability": "what other zip programs read",
    "capture/tensor_hooks": "hooks are written by a reducer and set by the runtime",
    "cli/imports": "what commands import",
    "docstrings": "how docstrings begin",
    "inspection/reachable": "what an audit calls reachable, over several modules",
    "integrations": "that none is imported unless it is named",
    "interpreters": "the forks that scripts of tests run in",
    "layout": "this test",
    "loading/imports": "what a load imports",
    "package/interface": "the public names of the drop-in",
    "package/packages_of_packages": "exporting what was imported",
    "processes/limits": "time and memory of clean processes",
    "reference_reader": "the reader of the format page",
    "slow_table": "the tests that `make quick` leaves out",
    "surface": "the public names of every module",
    "torch_names": "the names of PyTorch that several modules rely on",
}
_FOLDERS = sorted(path.parent.relative_to(_SOURCE).as_posix() for path in _SOURCE.rglob("__init__.py"))


def test_a_unit_test_lies_where_its_module_does() -> None:
    assert sorted(_TESTED - _MODULES - _OF_NO_MODULE.keys()) == []
    assert sorted(_OF_NO_MODULE.keys() - _TESTED) == []


def test_each_module_has_a_test_of_its_own() -> None:
    assert sorted(_MODULES - _TESTED) == []


@pytest.mark.parametrize("folder", [folder for folder in _FOLDERS if folder not in (".", "package")])
def test_a_folder_tells_its_tour_in_fifteen_lines(folder: str) -> None:
    tour = ast.get_docstring(ast.parse((_SOURCE / folder / "__init__.py").read_text(encoding="utf-8")))
    assert tour is not None
    assert len(tour.splitlines()) <= 15
    named = {
        name for line in re.findall(r"^- (.*?):", tour, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    there = {path.stem for path in (_SOURCE / folder).iterdir()}
    assert named - there == set()


def test_imported_modules_are_gone_through_in_a_copy() -> None:
    # Making the pairs of `items()` may collect garbage, and what that finalizes may import; so may a thread.
    watched = [path for path in _SOURCE.rglob("*.py") if "(sys.modules.items())" in path.read_text("utf-8")]
    assert watched == []
