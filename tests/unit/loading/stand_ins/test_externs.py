"""A soft extern that is not installed can be imported and named; its first use says what to install."""

from __future__ import annotations

import abc
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import MANIFEST
from wardian.domain.manifest import Extern
from wardian.errors import MissingExternError
from wardian.loading.stand_ins import externs
from wardian.loading.stand_ins.externs import (
    LackingExterns,
    StandIn,
    make_stand_in,
    missing,
    used_externs,
)

LACKING = Extern(
    modules=("orchardplot.axes", "orchardplot"),
    distribution="orchard-plot",
    version="1.2+cpu",
    names=(),
    soft=True,
)


@pytest.fixture(autouse=True)
def _nothing_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(externs, "_used", set())


def refuse(what: str) -> MissingExternError:
    return missing(LACKING, what, "fern.case")


@pytest.fixture
def stand_in() -> Any:
    return make_stand_in("orchardplot", refuse, "1.2")


def test_the_error_says_what_to_install() -> None:
    error = refuse("orchardplot.draw")
    assert str(error).startswith("orchardplot.draw is needed here and orchard-plot is not installed")
    assert "fern.case could be loaded without it" in str(error)
    assert str(error).endswith("fix: pip install orchard-plot==1.2")
    assert (error.name, error.distribution, error.version) == ("orchardplot", "orchard-plot", "1.2+cpu")
    unowned = replace(LACKING, distribution=None, version=None)
    assert str(missing(unowned, "it", "x")).endswith("fix: pip install orchardplot")


def test_what_only_names_it_works(stand_in: Any) -> None:
    class Plot(stand_in.Figure, abc.ABC):  # type: ignore[misc]
        size: stand_in.Size | None = None

    assert issubclass(Plot, stand_in.Figure)
    assert Plot.size is None
    assert not isinstance(3, stand_in.Figure)
    assert {stand_in.Figure: 1}[stand_in.Figure] == 1
    assert stand_in.Array[int, 3] is stand_in.Array
    assert stand_in.Figure is stand_in.Figure
    assert repr(stand_in.axes.Axes) == "<orchardplot.axes.Axes, which is not installed>"
    assert stand_in.__version__ == "1.2"
    assert used_externs() == frozenset()


def test_private_and_protocol_names_are_not_there(stand_in: Any) -> None:
    for name in ("_private", "__array__", "__wrapped__"):
        assert not hasattr(stand_in.Figure, name)
    assert not hasattr(stand_in.Figure, "__version__")


USES: list[Callable[[Any], Any]] = [
    lambda s: s(1),
    bool,
    len,
    list,
    int,
    float,
    operator.index,
    operator.neg,
    lambda s: 1 in s,
    lambda s: s + 1,
    lambda s: 1 - s,
    lambda s: s @ s,
    lambda s: s < 1,
    lambda s: operator.setitem(s, 0, 1),
    lambda s: s.__enter__(),
]


@pytest.mark.parametrize("use", USES)
def test_a_use_is_an_error_and_is_remembered(stand_in: Any, use: Callable[[Any], Any]) -> None:
    with pytest.raises(MissingExternError, match=r"^orchardplot\.draw is needed here"):
        use(stand_in.draw)
    assert used_externs() == {"orchardplot"}


def test_what_a_causing_error_names_was_used_too() -> None:
    try:
        try:
            raise refuse("x")
        except MissingExternError as error:
            raise ValueError from error
    except ValueError as error:
        found: Exception = error
    assert used_externs(found) == {"orchardplot"}
    try:
        try:
            raise refuse("x")
        except MissingExternError:
            raise ValueError from None
    except ValueError as error:
        found = error
    assert used_externs(found) == {"orchardplot"}
    assert used_externs(ValueError()) == frozenset()


# Logging libraries.


def test_of_a_logging_library_a_use_does_nothing() -> None:
    logs: Any = make_stand_in("wandb", None, None)
    assert logs.init(project="x").log({"loss": 1}) is logs.init.log
    assert not logs.run
    assert len(logs.run) == 0
    assert list(logs.run) == []
    assert 1 not in logs.run
    logs.config["a"] = 1
    with logs.start() as run:
        assert isinstance(run, StandIn)

    def train() -> int:
        return 3

    assert logs.watch(train) is train  # a decorator
    assert logs.watch(train, 1) is logs.watch
    assert logs.watch(logs.run) is logs.watch
    assert used_externs() == frozenset()
    with pytest.raises(NotImplementedError, match=r"wandb\.run"):
        _ = logs.run + 1


# Those of a case.


def lacking(*found: Extern, absent: frozenset[str] = frozenset()) -> LackingExterns:
    return LackingExterns(replace(MANIFEST, externs=found), "fern.case", absent)


def test_only_soft_externs_that_are_not_here_lack() -> None:
    hard = replace(LACKING, modules=("orchardhard",), soft=False)
    here = Extern(modules=("json",), distribution=None, version=None, names=(), soft=True)
    old = Extern(modules=("packaging",), distribution="packaging", version="9999.0", names=(), soft=True)
    found = lacking(LACKING, hard, here, old, absent=frozenset({"moss"}))
    assert found.stand_ins.keys() == {"orchardplot", "packaging"}
    assert found.hidden == {"orchardplot", "packaging", "moss"}
    assert found.has("orchardplot.axes.deep")
    assert not found.has("json")
    assert not found.has("orchardhard")


def test_a_module_that_lacks_is_refused_and_others_are_not() -> None:
    found = lacking(LACKING)
    found.refuse("json")
    with pytest.raises(MissingExternError, match=r"the module orchardplot\.axes is needed here"):
        found.refuse("orchardplot.axes")


def importing(name: str, *, at_module_level: bool, unguarded: bool = True) -> StandIn:
    logs = replace(LACKING, modules=("wandb",), distribution="wandb")
    return lacking(LACKING, logs).import_for(
        name, at_module_level=at_module_level, is_unguarded=lambda: unguarded
    )


def test_an_import_that_nothing_guards_gets_a_stand_in() -> None:
    assert repr(importing("orchardplot", at_module_level=True)).startswith("<orchardplot,")
    assert repr(importing("orchardplot.axes.deep", at_module_level=True)).startswith(
        "<orchardplot.axes.deep,"
    )


@pytest.mark.parametrize("name", ["orchardplot", "orchardplot.axes"])
def test_an_import_that_can_do_without_or_is_for_a_use_gets_an_error(name: str) -> None:
    with pytest.raises(ImportError):
        importing(name, at_module_level=True, unguarded=False)
    with pytest.raises(ImportError):
        importing(name, at_module_level=False)


def test_a_logging_library_is_imported_in_functions_too() -> None:
    assert importing("wandb", at_module_level=False)._path == "wandb"
    with pytest.raises(ImportError):
        importing("wandb", at_module_level=True, unguarded=False)
