"""What a plan tells and what it is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.forest import Forest
from wardian.domain.policy import Policy
from wardian.packing.planning.decide import make_plan


def test_why_tells_the_decision_and_the_chain(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.why("numlib").splitlines() == [
        "numlib: extern (numlib._core is compiled, and so tied to a platform)",
        "  model is a mill",
        "  -> mill.py:1: mill imports timberlib.oak (unconditional)",
        "  -> timberlib/oak.py:1: timberlib.oak imports numlib (unconditional)",
    ]
    assert "no import in the sources shows it" in plan.why("numlib._core")
    assert plan.why("scipy") == "scipy is not in the plan: nothing the object needs imports it"


def test_why_takes_a_distribution_and_tells_what_is_near(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.why("NumLib") == plan.why("numlib")
    assert plan.why("numlob") == (
        "numlob is not in the plan: nothing the object needs imports it; near to it: numlib"
    )


def test_a_plan_is_compared_with_an_older_one(forest: Forest) -> None:
    older = make_plan(forest.trace("mill.Saw"), Policy())
    plan = make_plan(forest.trace("mill.Saw"), Policy(extern="timberlib.**"))
    assert plan.diff(plan) == plan.diff(plan.to_json()) == ()
    told = plan.diff(older.to_json())
    assert told == plan.diff(older) == plan.diff(older.to_plain())
    assert "module timberlib.oak: intern became extern" in told
    assert any(sentence.startswith("file timberlib/oak.py is gone (") for sentence in told)
    assert any(sentence.startswith("file timberlib/oak.py is new (") for sentence in older.diff(plan))


def test_the_plan_prints_what_goes_where(forest: Forest) -> None:
    compiled = "numlib._core is compiled, and so tied to a platform"
    forest.module("timberlib.elm", distribution="timberlib")
    plan = make_plan(forest.trace("mill.Saw", absent=("jax",)), Policy(mock="timberlib.elm"))
    assert str(plan).splitlines() == [
        "plan for 'model'",
        "mock:",
        '  timberlib 1.0 (1 module): mock: "timberlib.elm"',
        "extern:",
        f"  numlib 1.0 (2 modules, optional): {compiled}",
        "  torch 2.8.0 (1 module, needed): it is PyTorch",
        "intern:",
        "  first-party (1 module, 33 bytes): first-party code",
        "  timberlib 1.0 (2 modules, 30 bytes): part of timberlib, which is packed whole",
        "not installed, and hidden when the case is loaded: jax",
    ]
    assert repr(plan) == (
        "<Plan for 'model': 3 modules inside, 2 externs; print it, or ask its modules() and why()>"
    )


def test_modules_are_told_on_request(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert plan.modules() == plan.decisions
    assert [d.module for d in plan.modules("timberlib")] == ["timberlib", "timberlib.oak"]
    assert [str(d) for d in plan.modules("first-party")] == ["mill: intern (first-party code)"]


def test_a_plan_of_very_many_distributions_is_printed_on_a_page(forest: Forest) -> None:
    for number in range(60):
        forest.distribution(f"lib{number}", compiled=(f"lib{number}._c",) if number % 2 else ())
        forest.module(f"lib{number}", distribution=f"lib{number}")
    text = str(make_plan(forest.trace("mill.Saw"), Policy(extern=[f"none{number}" for number in range(9)])))
    assert len(text.splitlines()) <= 40
    assert text.count("  and 20 more") == 2
    assert "  and 6 more" in text


def test_why_knows_the_standard_library(forest: Forest) -> None:
    assert "standard library" in make_plan(forest.trace("mill.Saw"), Policy()).why("os.path")


@pytest.mark.parametrize(
    "older", ["{}", "[]", "no json", {"decisions": []}, {"decisions": [], "files": [], "externs": {}}]
)
def test_a_plan_is_compared_with_plans_only(forest: Forest, older: Any) -> None:
    with pytest.raises(ValueError, match=r"older is no plan|Expecting value"):
        make_plan(forest.trace("mill.Saw"), Policy()).diff(older)


def test_more_than_a_few_facts_of_one_kind_are_counted(forest: Forest) -> None:
    plan = replace(
        make_plan(forest.trace("mill.Saw"), Policy()),
        set_at_load=("mill.RATE",),
        left_out=tuple(f"data{number}.bin" for number in range(4)),
        unread=("labels.txt, which mill names in line 3", *"bc"),
    )
    assert str(plan).splitlines()[-11:] == [
        "set when it is loaded:",
        "  mill.RATE",
        "data files left out (large, and not read in the run):",
        "  data0.bin",
        "  data1.bin",
        "  data2.bin",
        "  and 1 more",
        "data files left out that first-party code names:",
        "  labels.txt, which mill names in line 3",
        "  b",
        "  c",
    ]
    assert plan.to_plain()["left_out"] == [*plan.left_out, *plan.unread]
