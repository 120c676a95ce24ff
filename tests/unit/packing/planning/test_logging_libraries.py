"""What only logging libraries need stays outside with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.forest import Forest
from wardian.domain.modules import ModuleKind
from wardian.domain.names import ModuleName
from wardian.domain.policy import Policy
from wardian.packing.planning.decide import make_plan
from wardian.packing.planning.logging_libraries import is_interned, without_logging


def _decisions(plan: Any) -> dict[str, tuple[str, str]]:
    return {d.module: (str(d.action), d.reason) for d in plan.decisions}


def test_what_only_a_logging_library_imports_is_not_needed(forest: Forest) -> None:
    forest.distribution("wandb", ("wandb/__init__.py",))
    forest.distribution("wirelib", ("wirelib/__init__.py",), compiled=("wirelib._core",))
    forest.distribution("shared", ("shared.py",))
    forest.module("wandb", "import wirelib\nimport shared", distribution="wandb", is_package=True)
    forest.module("wirelib", distribution="wirelib", is_package=True)
    forest.module("wirelib._core", distribution="wirelib", kind=ModuleKind.EXTENSION)
    forest.module("shared", distribution="shared")
    forest.module("mill", "import timberlib.oak\nimport wandb\nimport shared")
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.decision("wirelib") is None
    assert {e.distribution: e.soft for e in plan.externs} == {"numlib": True, "torch": False, "wandb": True}
    assert _decisions(plan)["shared"][0] == "intern"
    plan = make_plan(forest.trace("mill.Saw"), Policy(intern="wandb.**"))
    assert _decisions(plan)["wandb"][0] == "intern"
    assert "wirelib" in {e.distribution for e in plan.externs}


def _with_wandb(forest: Forest, source: str = "import wirelib") -> None:
    forest.module("wandb", source, distribution="wandb", is_package=True)
    forest.module("wirelib", "import cablelib", distribution="wirelib")
    forest.module("cablelib", distribution="cablelib")
    forest.module("mill", "import timberlib.oak\nimport wandb")


def _kept(forest: Forest, policy: Policy | None = None, **facts: Any) -> set[str]:
    trace = without_logging(replace(forest.trace("mill.Saw"), **facts), policy or Policy())
    assert trace.needed <= trace.modules.keys()
    return {"wandb", "wirelib", "cablelib"} & trace.modules.keys()


def test_what_logging_libraries_lead_to_is_not_in_the_trace(forest: Forest) -> None:
    _with_wandb(forest)
    assert _kept(forest) == {"wandb"}
    assert _kept(forest, Policy(intern="wandb.**")) == {"wandb", "wirelib", "cablelib"}
    # One of the user's own that has the name is none.
    forest.module("wandb", "import wirelib", is_package=True)
    assert _kept(forest) == {"wandb", "wirelib", "cablelib"}


def test_what_others_lead_to_as_well_stays(forest: Forest) -> None:
    _with_wandb(forest)
    forest.module("timberlib.oak", "import cablelib", distribution="timberlib")
    assert _kept(forest) == {"wandb", "cablelib"}


def test_what_no_import_shows_stays_with_what_it_imports(forest: Forest) -> None:
    _with_wandb(forest)
    forest.module("plugin", "import wirelib", distribution="plugin")
    assert _kept(forest) == {"wandb", "wirelib", "cablelib"}


def test_modules_beside_those_that_are_dropped_are_dropped(forest: Forest) -> None:
    _with_wandb(forest)
    forest.module("wirelib._core", distribution="wirelib", kind=ModuleKind.EXTENSION)
    trace = without_logging(forest.trace("mill.Saw"), Policy())
    assert "wirelib._core" not in trace.modules
    trace = without_logging(forest.trace("mill.Saw", absent=("wirelib", "jax")), Policy())
    assert trace.evidence.absent == ("jax",)


def test_without_a_logging_library_the_trace_is_what_it_was(forest: Forest) -> None:
    trace = forest.trace("mill.Saw")
    assert without_logging(trace, Policy()) is trace


def test_only_a_rule_that_packs_a_module_interns_it() -> None:
    wandb = ModuleName("wandb.sdk")
    assert is_interned(wandb, Policy(intern="wandb.**"))
    assert not is_interned(wandb, Policy(extern="wandb.**"))
    assert not is_interned(wandb, Policy())
