"""Which packages wait for their first use."""

from __future__ import annotations

from dataclasses import replace

from tests.forest import Forest
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.modules import ModuleKind
from wardian.domain.names import ModuleName
from wardian.domain.policy import Policy
from wardian.packing.planning.decide import make_plan
from wardian.packing.planning.deferral import deferrable


def test_only_a_package_that_nothing_names_may_wait(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    assert make_plan(forest.trace("mill.Saw"), Policy()).deferrable == ("timberlib",)
    forest.module("mill", "from timberlib.oak import Plank\nimport timberlib")
    assert make_plan(forest.trace("mill.Saw"), Policy()).deferrable == ()


def test_a_first_party_package_does_not_wait(forest: Forest) -> None:
    forest.module("yard", "import yard.saws", is_package=True)
    forest.module("yard.saws", "import torch")
    assert "yard" not in make_plan(forest.trace("yard.saws.Saw"), Policy()).deferrable


def test_a_library_with_operators_does_not_wait(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    source = "import torch\ndef saw(x):\n    return torch.ops.timberlib.saw(x)"
    forest.module("timberlib.oak", source, distribution="timberlib")
    assert make_plan(forest.trace("mill.Saw"), Policy()).deferrable == ()


def _may_wait(forest: Forest, *needed: str) -> tuple[str, ...]:
    return deferrable(forest.trace("mill.Saw"), set(map(ModuleName, needed or forest.modules)))


def test_what_is_reached_from_the_pickle_does_not_wait(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    forest.module("timberlib.deep", "", distribution="timberlib", is_package=True)
    forest.module("timberlib.oak", "import timberlib.deep.ash", distribution="timberlib")
    forest.module("timberlib.deep.ash", "", distribution="timberlib")
    # numlib is compiled code's package: its source is there all the same.
    assert _may_wait(forest) == ("numlib", "timberlib", "timberlib.deep")
    forest.module("timberlib.oak", "from timberlib import deep", distribution="timberlib")
    assert _may_wait(forest) == ("numlib",)  # `from timberlib import deep` names both
    assert _may_wait(forest, "mill", "timberlib.oak") == ()


def test_an_import_that_was_only_seen_in_the_run_asks_for_it_too(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    trace = forest.trace("mill.Saw")
    seen = Import(ModuleName("timberlib.oak"), ModuleName("timberlib"), 1, ImportContext.OBSERVED)
    needed = {ModuleName("mill"), ModuleName("timberlib"), ModuleName("timberlib.oak")}
    assert deferrable(trace, needed) == ("timberlib",)
    assert deferrable(replace(trace, graph=ImportGraph([*trace.graph, seen])), needed) == ()


def test_only_packages_with_source_wait(forest: Forest) -> None:
    forest.module("mill", "from timberlib.oak import Plank")
    forest.module("timberlib", distribution="timberlib", is_package=True, kind=ModuleKind.BYTECODE)
    assert "timberlib" not in _may_wait(forest)
