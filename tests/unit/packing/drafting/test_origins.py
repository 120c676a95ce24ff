"""Which open cases an object comes from, and when that is refused."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import MANIFEST, importable, write_case, write_tree
from wardian.domain.manifest import PackedDistribution
from wardian.errors import PlanError
from wardian.loading.case import Case
from wardian.packing.drafting.origins import Origins, refuse_closed
from wardian.pickling.reducers.row import RefusedError

SOURCES = """
--- elm/__init__.py
class Elm:
    def grow(self):
        pass
--- elm/bark.py
"""
ELM = b"\x80\x04celm\nElm\n."
"""The pickle of the class."""


class _Cases:
    """Opens cases of a library `elm`, and closes them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.opened = folder, list[Case]()

    def open(self, sources: str = SOURCES, version: str | None = None) -> Any:
        """Return the class `Elm` of a case."""
        path = self._folder / f"elm{len(self.opened)}.case"
        owner = PackedDistribution(name="elm" if version else "first-party", version=version, roots=("elm",))
        case = wardian.open(write_case(path, sources, pickle=ELM, distributions=(owner,)))
        self.opened.append(case)
        return case.load()


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[_Cases]:
    made = _Cases(tmp_path)
    yield made
    for case in made.opened:
        case.close()


def _noted(*modules: str) -> Origins:
    origins = Origins()
    for module in modules:
        origins(module)
    return origins


def test_names_are_original_and_what_they_are_of_is_known(cases: _Cases) -> None:
    elm = cases.open()
    origins = Origins()
    assert origins(elm.__module__) == "elm"
    assert origins("torch.nn") == "torch.nn"
    (origin,) = origins.resolve()
    assert origin.path.endswith("elm0.case")
    assert origins.resolve() == (origin,)
    assert [mount.name for mount in origins.roots()] == [elm.__module__.removesuffix(".elm")]
    assert origins.is_of_open_case(elm.__module__)
    assert not origins.is_of_open_case("elm")
    assert origins.packs("elm.rings")
    assert not origins.packs("torch")
    assert origins.find_global("elm", "Elm.grow") is elm.grow
    assert origins.find_global("types", "ModuleType") is types.ModuleType
    with pytest.raises(ImportError):
        origins.find_global("elm.rings", "Ring")


def test_a_library_of_two_cases_must_be_the_same_in_both(cases: _Cases) -> None:
    one, same = cases.open(), cases.open()
    assert len(_noted(one.__module__, same.__module__).resolve()) == 2
    other = cases.open(SOURCES + "--- elm/rings.py\n")  # what only one of them has may be
    assert len(_noted(one.__module__, other.__module__).resolve()) == 2
    changed = cases.open(SOURCES + "RINGS = 4\n")
    with pytest.raises(PlanError) as caught:
        _noted(one.__module__, changed.__module__).resolve()
    (problem,) = caught.value.problems
    assert problem.module == "elm"
    assert "elm0.case and from" in problem.what
    assert problem.what.endswith("elm3.case")


def test_a_library_of_a_case_and_the_environment_must_be_the_same(cases: _Cases, tmp_path: Path) -> None:
    elm = cases.open()
    with importable(write_tree(tmp_path / "same", SOURCES)):
        (origin,) = _noted(elm.__module__, "elm").resolve()
        assert origin.mixed == {"elm"}
        assert _noted(elm.__module__).resolve()[0].mixed == frozenset()
        versioned = cases.open(version="2.0")
        with pytest.raises(PlanError) as caught:
            _noted(versioned.__module__, "elm").resolve()
        assert "(elm 2.0) and from the environment" in caught.value.problems[0].what
        assert caught.value.problems[0].fix.endswith("or install elm 2.0")
    with importable(write_tree(tmp_path / "other", SOURCES.replace("grow", "fall"))):
        with pytest.raises(PlanError, match="comes from two places") as caught:
            _noted(elm.__module__, "elm").resolve()
        assert str(tmp_path / "other/elm/__init__.py") in caught.value.problems[0].what
    assert _noted(elm.__module__, "elm").resolve()  # where it is not installed, there is one place


def test_changes_that_a_case_made_when_it_was_loaded_are_told(tmp_path: Path) -> None:
    sources = "--- captured/__init__.py\nchanged = []\ndef act():\n    pass\n"
    path = write_case(tmp_path / "act.case", sources, pickle=b"\x80\x04ccaptured\nact\n.")
    with wardian.open(path) as case:
        act = case.load()
        origins = _noted(act.__module__)
        assert list(origins.changes()) == []
        act.__globals__["changed"].append((types, "RATE"))
        assert list(origins.changes()) == [(types, "RATE")]


def test_parts_of_a_closed_case_are_refused_with_the_call_that_loads_it_again(cases: _Cases) -> None:
    elm: Any = cases.open()
    module = cases.opened[0].import_module("elm")
    derived = type("Derived", (elm,), {"__module__": "notebook"})
    grow = types.FunctionType(elm.grow.__code__, elm.grow.__globals__)
    grow.__module__ = "notebook"
    for part in (elm, elm.grow, module, derived, grow):
        refuse_closed(part)
    cases.opened[0].close()
    for part, words in (
        (elm, "elm.Elm of "),
        (elm.grow, "elm.Elm.grow of "),
        (module, "elm of "),
        (grow, "notebook.Elm.grow of "),
        (derived, "notebook.Derived is derived from elm.Elm of "),
    ):
        with pytest.raises(RefusedError) as caught:
            refuse_closed(part)
        assert str(caught.value).startswith(words)
        assert "elm0.case" in str(caught.value)
    refuse_closed(replace)
    refuse_closed(type(MANIFEST))
