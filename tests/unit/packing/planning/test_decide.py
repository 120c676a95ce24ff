"""Decisions, each with its reason. Traces are built by hand: nothing is read, nothing is imported."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from tests.forest import SITE, Forest
from wardian.domain.globs import GlobGroup
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.names import ModuleName, record_name
from wardian.domain.policy import Action, Policy, Rule
from wardian.domain.trace import Trace
from wardian.errors import PlanError
from wardian.packing.planning.decide import make_plan


def _name(text: str) -> ModuleName:
    return ModuleName(text)


def _decisions(plan: Any) -> dict[str, tuple[str, str]]:
    return {d.module: (str(d.action), d.reason) for d in plan.decisions}


def test_each_module_has_one_decision_with_its_reason(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    compiled = "numlib._core is compiled, and so tied to a platform"
    assert _decisions(plan) == {
        "mill": ("intern", "first-party code"),
        "numlib": ("extern", compiled),
        "numlib._core": ("extern", compiled),
        "timberlib": ("intern", "part of timberlib, which is packed whole"),
        "timberlib.oak": ("intern", "part of timberlib, which is packed whole"),
        "torch": ("extern", "it is PyTorch"),
    }
    assert [d.module for d in plan.decisions] == sorted(d.module for d in plan.decisions)


def test_a_distribution_is_packed_whole_with_its_data_and_metadata(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert [(f.record, f.module) for f in plan.files] == [
        ("mill.py", "mill"),
        ("timberlib/__init__.py", "timberlib"),
        ("timberlib/oak.py", "timberlib.oak"),
        ("timberlib/rings.json", None),
    ]
    assert [(d.name, d.version, d.roots) for d in plan.distributions] == [
        ("first-party", None, ("mill",)),
        ("timberlib", "1.0", ("timberlib",)),
    ]
    assert plan.metadata == {"timberlib": {"METADATA": b"Name: timberlib"}}


@pytest.mark.parametrize(
    ("policy", "module", "decision"),
    [
        (Policy(extern="timberlib.**"), "timberlib.oak", ("extern", 'extern: "timberlib.**"')),
        (Policy(mock="timberlib.oak"), "timberlib.oak", ("mock", 'mock: "timberlib.oak"')),
        (Policy(intern="**"), "mill", ("intern", 'intern: "**"')),
        (
            Policy(base="thin"),
            "timberlib",
            ("extern", "thin policy: third-party distributions stay outside"),
        ),
        (Policy(base="thin"), "mill", ("intern", "first-party code")),
        (Policy(base="thin", intern="timberlib.**"), "timberlib", ("intern", 'intern: "timberlib.**"')),
    ],
)
def test_a_rule_of_the_user_wins(
    policy: Policy, module: str, decision: tuple[str, str], forest: Forest
) -> None:
    assert _decisions(make_plan(forest.trace("mill.Saw"), policy))[module] == decision


def test_a_rule_cannot_pack_what_is_compiled(forest: Forest) -> None:
    decisions = _decisions(make_plan(forest.trace("mill.Saw"), Policy(intern="numlib.**")))
    for module, words in (("numlib._core", "cannot pack it"), ("numlib", "cannot pack part of it")):
        action, reason = decisions[module]
        assert action == "extern"
        assert reason.endswith(f'; intern: "numlib.**" {words}')


def test_a_mock_is_in_the_list_and_not_in_the_files(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy(mock="timberlib.oak"))
    assert plan.mocks == ("timberlib.oak",)
    assert "timberlib/oak.py" not in {f.record for f in plan.files}


def test_all_that_is_denied_is_told_with_chains_and_fixes(forest: Forest) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(forest.trace("mill.Saw"), Policy(deny=["timberlib.oak", "numlib"]))
    unused = "if it is imported and not used, in place of that rule"
    assert [(p.module, p.fix) for p in caught.value.problems] == [
        (name, f'let that rule not match {name}; or, {unused}: Policy(mock=["{name}"])')
        for name in ("numlib", "timberlib.oak")
    ]
    assert caught.value.problems[0].chain[1:] == (
        "mill.py:1: mill imports timberlib.oak (unconditional)",
        "timberlib/oak.py:1: timberlib.oak imports numlib (unconditional)",
    )


def test_what_is_denied_and_not_needed_is_left_out(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw", needed=("mill",)), Policy(deny="timberlib.**"))
    assert plan.decision("timberlib.oak") is None


def test_equal_inputs_give_equal_plans(forest: Forest) -> None:
    one = make_plan(forest.trace("mill.Saw"), Policy())
    other = make_plan(forest.trace("mill.Saw"), Policy())
    assert one == other
    assert one.to_plain() == other.to_plain()
    assert one != make_plan(forest.trace("mill.Saw"), Policy(base="thin"))


@pytest.mark.parametrize("place", [SITE, "/cache/libraries/3f9a"], ids=["installed", "of an opened case"])
def test_an_operator_library_is_told_whichever_build_of_it_was_loaded(forest: Forest, place: str) -> None:
    forest.distribution("timberlib", ("timberlib/__init__.py", "timberlib/oak.py", "timberlib/_C.so"))
    forest.distribution("other", ("other/_C.so",))
    loaded, schemas = (f"{place}/timberlib/_C.so",), ("timberlib::saw() -> int",)
    plan = make_plan(forest.trace("mill.Saw", operators=loaded, schemas=schemas), Policy())
    assert plan.libraries == ("timberlib/_C.so",)
    assert plan.operators == schemas


def test_folders_and_data_that_were_looked_at_must_be_files(forest: Forest) -> None:
    def plan(*files: str) -> tuple[str, ...]:
        return make_plan(forest.trace("mill.Saw", files=files), Policy()).materialised

    assert plan() == ()
    assert plan(f"{SITE}/timberlib/rings.json") == ("timberlib",)
    assert plan(f"{SITE}/timberlib") == ("timberlib",)
    assert plan(os.path.join(SITE, "elsewhere", "rings.json")) == ()


def test_a_global_that_no_module_has_is_told(forest: Forest) -> None:
    with pytest.raises(PlanError, match="lost, which defines Thing, cannot be found"):
        make_plan(forest.trace("mill.Saw", "lost.Thing"), Policy())


@pytest.mark.parametrize("pattern", ["torch.**", "torch"])
def test_a_rule_that_cannot_pack_what_it_matches_is_shown(pattern: str, forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw", "torch.Tensor"), Policy(intern=pattern))
    (shown,) = plan.unkept
    assert shown == f'intern: "{pattern}": torch stays outside, it is PyTorch'
    assert f"rules that pack nothing:\n  {shown}" in str(plan)


def test_a_rule_that_packs_some_of_what_it_matches_is_kept(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw", "torch.Tensor"), Policy(intern="**", mock="none_such"))
    assert plan.unkept == ()
    assert "rules that pack" not in str(plan)


def test_rules_that_match_nothing_are_shown_with_what_is_near(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy(extern=["timberlb.**", "numlib.**"], deny="none_such"))
    near = 'extern: "timberlb.**" (near to it: timberlib, timberlib.oak)'
    assert plan.unmatched == ('deny: "none_such"', near)
    assert 'rules that match no module:\n  deny: "none_such"' in str(plan)
    assert "rules that match" not in str(make_plan(forest.trace("mill.Saw"), Policy()))


def test_a_rule_that_must_match_and_does_not_is_a_problem(forest: Forest) -> None:
    rule = Rule(Action.INTERN, GlobGroup("timberlb.**"), allow_empty=False)
    with pytest.raises(PlanError, match="must match a module that the object reaches, and does not"):
        make_plan(forest.trace("mill.Saw"), Policy.ordered([rule]))


def test_a_package_that_no_import_names_is_there_for_a_module_below_it(forest: Forest) -> None:
    forest.module("yard", "", is_package=True)
    forest.module("yard.stack", "")
    forest.module("mill", "import timberlib.oak\nfrom yard.stack import *")
    trace = forest.trace("mill.Saw")
    trace = replace(trace, graph=ImportGraph(edge for edge in trace.graph if edge.imported != "yard"))
    assert make_plan(trace, Policy()).why("yard").endswith("-> yard is the package of yard.stack")
    with pytest.raises(PlanError) as caught:
        make_plan(trace, Policy(deny="yard"))
    assert caught.value.problems[0].chain[-1] == "yard is the package of yard.stack"


def test_a_denied_module_that_a_function_imports_is_told(forest: Forest) -> None:
    needed = ("mill", "timberlib", "timberlib.oak", "torch", "numlib")
    forest.module("vault", "def keys(): pass")
    forest.module("timberlib.late", "def cut():\n    import vault", distribution="timberlib")
    trace = forest.trace("mill.Saw", needed=(*needed, "timberlib.late"))
    plan = make_plan(trace, Policy(deny="vault"))
    (told,) = plan.denied
    assert told.startswith('vault is denied by deny: "vault"; timberlib.late, which is packed, imports it')
    assert "in a function, line 2," in told
    assert plan.denied[0] in str(plan)
    forest.module("mill", "def cut():\n    import vault")
    (told,) = make_plan(forest.trace("mill.Saw", needed=needed), Policy(deny="vault")).denied
    assert told.startswith('vault is denied by deny: "vault"; mill, which is packed, imports it')


def test_objects_of_mocked_classes_are_refused_all_by_name(forest: Forest) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(
            forest.trace("timberlib.oak.Board", "mill.Saw", "timberlib.oak.Beam"),
            Policy(mock="timberlib.oak"),
        )
    assert [problem.what for problem in caught.value.problems] == [
        f'timberlib.oak.{name} is mocked (mock: "timberlib.oak"), and the object holds it or instances of it'
        for name in ("Board", "Beam")
    ]


def _with_places(trace: Trace, *places: tuple[str, str]) -> Trace:
    """Return a trace whose object holds something of `timberlib.oak` at these places, each with its name."""
    model, oak = _name("model"), _name("timberlib.oak")
    held = [Import(model, oak, 0, ImportContext.PICKLED, place, name) for place, name in places]
    others = [edge for edge in trace.graph if (edge.importer, edge.imported) != (model, oak)]
    return replace(trace, graph=ImportGraph([*others, *held]))


def test_each_object_of_a_mocked_class_is_told_with_its_own_places(forest: Forest) -> None:
    trace = forest.trace("timberlib.oak.Beam", "timberlib.oak.Board")
    floor = [(f"model.floor[{number}]", "Board") for number in range(12)]
    with pytest.raises(PlanError) as caught:
        make_plan(_with_places(trace, *floor, ("model.roof", "Beam")), Policy(mock="timberlib.oak"))
    beam, board = (problem.chain for problem in caught.value.problems)
    assert beam == ("model.roof is a timberlib.oak.Beam",)
    (told,) = board
    assert told.startswith(
        "model.floor[0] is a timberlib.oak.Board; model.floor[10] is a timberlib.oak.Board; "
    )
    assert told.endswith("; and 2 more")


def test_what_the_object_holds_of_a_denied_module_is_told_and_no_mock_is_advised(forest: Forest) -> None:
    trace = _with_places(forest.trace("mill.Saw", "timberlib.oak.Beam"), ("model.roof", "Beam"))
    with pytest.raises(PlanError) as caught:
        make_plan(trace, Policy(deny="timberlib.oak"))
    (problem,) = caught.value.problems
    assert problem.chain == ("model.roof is a timberlib.oak.Beam",)
    assert problem.fix == "take what is of it out of the object, or let that rule not match timberlib.oak"


@pytest.mark.parametrize("denied", ["timberlib.oak", "timberlib"])
def test_the_object_s_own_module_and_its_package_are_to_be_allowed(denied: str, forest: Forest) -> None:
    trace = _with_places(forest.trace("timberlib.oak.Beam"), ("model", "Beam"))
    with pytest.raises(PlanError) as caught:
        make_plan(trace, Policy(deny=denied))
    (problem,) = caught.value.problems
    assert problem.fix == f"let that rule not match {denied}"
    with pytest.raises(PlanError) as caught:
        make_plan(trace, Policy(mock="timberlib.oak"))
    (problem,) = caught.value.problems
    assert problem.fix == 'Policy(intern=["timberlib.oak"])'


def test_what_was_mocked_before_is_mocked_again(forest: Forest) -> None:
    trace = replace(forest.trace("mill.Saw"), mocks=(_name("barklib"), _name("timberlib.oak")))
    assert make_plan(trace, Policy()).mocks == ("barklib", "timberlib.oak")
    assert make_plan(trace, Policy(intern="timberlib.**")).mocks == ("barklib",)


def _grove(forest: Forest) -> Trace:
    files = ("__init__.py", "oak.py", "elm.py", "ash.py", "rings.json", "bark.json")
    forest.distribution("timberlib", tuple(f"timberlib/{file}" for file in files))
    forest.module("timberlib.elm", distribution="timberlib")
    needed = ("mill", "timberlib", "timberlib.oak", "torch")
    trace = forest.trace("mill.Saw", needed=needed)
    reached, data = frozenset({_name("timberlib.elm")}), frozenset({record_name("timberlib/rings.json")})
    known = trace.distributions["timberlib"]
    grown = tuple((r, path, 1 << 20 if r.endswith("ash.py") else size) for r, path, size in known.files)
    distributions = {**trace.distributions, "timberlib": replace(known, files=grown)}
    return replace(trace, reached=reached, data=data, distributions=distributions)


def test_of_a_distribution_come_along_the_modules_and_data_that_can_be_reached(forest: Forest) -> None:
    plan = make_plan(_grove(forest), Policy())
    kept = {"__init__.py", "oak.py", "elm.py", "rings.json"}
    assert {f.record for f in plan.files if f.distribution} == {f"timberlib/{file}" for file in kept}
    assert _decisions(plan)["timberlib.oak"] == ("intern", "it was imported in the run")
    assert _decisions(plan)["timberlib.elm"] == ("intern", "it can be reached by code that runs")
    assert plan.unneeded == {"timberlib": ("timberlib.ash",)}
    assert plan.metadata["timberlib"]["left_out"] == b"timberlib.ash\n"
    told = "what was imported in the run, and what that can reach"
    assert f"  part of timberlib 1.0 (3 modules of 4, 40 bytes): {told}" in str(plan).splitlines()
    assert plan.why("timberlib.ash").startswith("timberlib.ash: left out")
    assert _name("timberlib.elm") not in plan.loaded


def test_a_small_distribution_is_packed_whole(forest: Forest) -> None:
    trace = _grove(forest)
    known = trace.distributions["timberlib"]
    small = tuple((record, path, min(size, 400 << 10)) for record, path, size in known.files)
    plan = make_plan(
        replace(trace, distributions={**trace.distributions, "timberlib": replace(known, files=small)}),
        Policy(),
    )
    assert {"timberlib/ash.py", "timberlib/bark.json"} <= {f.record for f in plan.files}
    assert plan.unneeded == {}


@pytest.mark.parametrize(("base", "whole"), [("whole", False), ("hermetic", True)])
def test_a_distribution_can_be_packed_whole_all_the_same(forest: Forest, base: Any, *, whole: bool) -> None:
    plan = make_plan(_grove(forest), Policy(base=base), whole=whole)
    assert "timberlib/ash.py" in {f.record for f in plan.files}
    assert "timberlib/bark.json" in {f.record for f in plan.files}
    assert plan.unneeded == {}
    assert "left_out" not in plan.metadata["timberlib"]


def test_what_a_case_had_no_more_is_still_told_when_it_is_packed_again(forest: Forest) -> None:
    trace = _grove(forest)
    known = replace(trace.distributions["timberlib"], metadata={"left_out": b"timberlib.yew\n"})
    trace = replace(trace, distributions={**trace.distributions, "timberlib": known})
    assert make_plan(trace, Policy()).metadata["timberlib"]["left_out"] == b"timberlib.ash\ntimberlib.yew\n"
    assert make_plan(trace, Policy(), whole=True).metadata["timberlib"]["left_out"] == b"timberlib.yew\n"
