"""What the receiver must have installed, and what may be missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.forest import Forest
from tests.support import PLAN
from wardian.domain.decisions import Decision
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.manifest import Extern
from wardian.domain.modules import ModuleKind
from wardian.domain.names import ModuleName
from wardian.domain.policy import Action, Policy
from wardian.domain.trace import ObservedImport, Trace
from wardian.packing.planning.decide import make_plan
from wardian.packing.planning.externs import (
    OF_NO_DISTRIBUTION,
    asked_metadata,
    extern_distributions,
    find_externs,
    find_unowned,
    version_of,
    with_hard,
    with_missing,
)


def _decisions(plan: Any) -> dict[str, tuple[str, str]]:
    return {d.module: (str(d.action), d.reason) for d in plan.decisions}


def _soft(plan: Any) -> dict[str | None, bool]:
    return {extern.distribution: extern.soft for extern in plan.externs}


def test_an_extern_is_hard_that_packed_code_could_not_do_without(forest: Forest) -> None:
    assert _soft(make_plan(forest.trace("mill.Saw"), Policy()))["numlib"] is True
    evidences: tuple[dict[str, Any], ...] = (
        {"demands": (ObservedImport("mill", "numlib", 3),)},
        {"checked": ("numlib",)},
    )
    for evidence in evidences:
        assert _soft(make_plan(forest.trace("mill.Saw", **evidence), Policy()))["numlib"] is False
    # What another extern needs, it needs where it is needed itself.
    demands = (ObservedImport("numlib._core", "numlib", 3),)
    assert _soft(make_plan(forest.trace("mill.Saw", demands=demands), Policy()))["numlib"] is True


def test_what_pytorch_imports_and_does_not_require_is_an_extern(forest: Forest) -> None:
    forest.distribution("chartlib", compiled=("chartlib._c",))
    forest.module("chartlib", distribution="chartlib")
    assert "chartlib" not in _soft(make_plan(forest.trace("mill.Saw"), Policy()))
    demands = (ObservedImport("torch", "chartlib", 3),)
    assert _soft(make_plan(forest.trace("mill.Saw", demands=demands), Policy()))["chartlib"] is False


def test_an_extern_has_its_version_its_modules_and_the_names_that_are_used(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    numlib, torch = plan.externs
    assert (numlib.distribution, numlib.version, numlib.modules) == ("numlib", "1.0", ("numlib",))
    assert numlib.names == ("numlib.array",)
    assert (torch.distribution, torch.version) == ("torch", "2.8.0")


def test_what_an_extern_imports_is_extern_too(forest: Forest) -> None:
    forest.distribution("helperlib", ("helperlib.py",))
    forest.module("helperlib", distribution="helperlib")
    forest.observed.append(ObservedImport("numlib", "helperlib", 3))
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert _decisions(plan)["helperlib"] == (
        "extern",
        "numlib, which is outside, imports it, and a distribution has one origin",
    )


def test_what_only_an_extern_imports_is_declared_once_it_is_missing(forest: Forest) -> None:
    forest.distribution("helperlib", ("helperlib.py",))
    forest.module("helperlib", distribution="helperlib")
    forest.observed.append(ObservedImport("numlib", "helperlib", 3))
    plan = make_plan(forest.trace("mill.Saw"), Policy())
    assert [e.distribution for e in plan.externs] == ["numlib", "torch"]
    assert with_missing(plan, plan.externs, {"otherlib"}) == plan.externs
    helperlib, *others = with_missing(plan, plan.externs, {"helperlib"})
    assert (helperlib.distribution, helperlib.version, helperlib.modules) == (
        "helperlib",
        "1.0",
        ("helperlib",),
    )
    assert not helperlib.soft
    assert tuple(others) == plan.externs
    assert with_missing(plan, (helperlib, *others), {"helperlib"}) == (helperlib, *others)


def test_what_torch_requires_is_extern(forest: Forest) -> None:
    forest.distribution("sympy", required_by_torch=True, with_every_torch=True)
    forest.module("sympy", distribution="sympy", is_package=True)
    assert _decisions(make_plan(forest.trace("mill.Saw"), Policy()))["sympy"] == (
        "extern",
        "PyTorch requires it, so it is there wherever PyTorch is",
    )


def test_what_only_some_builds_of_torch_require_may_be_soft(forest: Forest) -> None:
    forest.distribution("symlib", required_by_torch=True, with_every_torch=True)
    forest.module("symlib", distribution="symlib")
    forest.distribution("kernellib", required_by_torch=True)
    forest.module("kernellib", distribution="kernellib")
    forest.module("mill", "import kernellib, symlib, torch")
    plan = make_plan(forest.trace("mill.Saw", used=("kernellib",)), Policy())
    assert {e.distribution: e.soft for e in plan.externs} == {
        "kernellib": True,
        "numlib": True,
        "symlib": False,
        "torch": False,
    }
    assert _decisions(plan)["kernellib"] == ("extern", "PyTorch requires it on some platforms")


def test_an_extern_that_a_rule_names_is_hard(forest: Forest) -> None:
    plan = make_plan(forest.trace("mill.Saw"), Policy(extern=["numlib.**"]))
    assert _soft(plan)["numlib"] is False
    thin = make_plan(forest.trace("mill.Saw"), Policy(base="thin"))
    assert _soft(thin)["timberlib"] is True


def test_without_a_call_only_what_may_fail_or_comes_late_is_soft(forest: Forest) -> None:
    forest.module("timberlib.late", "def cut():\n    import pulplib", distribution="timberlib")
    forest.module(
        "timberlib.may", "try:\n    import barklib\nexcept ImportError: pass", distribution="timberlib"
    )
    for name in ("pulplib", "barklib"):
        forest.distribution(name, compiled=(f"{name}._c",))
        forest.module(name, distribution=name)
    plan = make_plan(forest.trace("mill.Saw", ran=False), Policy())
    assert _soft(plan) == {"barklib": True, "numlib": False, "pulplib": True, "torch": False}


def _extern(name: str | None, *modules: str, soft: bool = False) -> Extern:
    return Extern(distribution=name, version="1.0", modules=modules, names=(), soft=soft)


def test_a_compiled_module_of_nobody_must_be_seen_to(forest: Forest) -> None:
    own = _extern(None, "mill._saw")
    decision = Decision(ModuleName("mill._saw"), Action.EXTERN, OF_NO_DISTRIBUTION, None)
    named = Import(ModuleName("model"), ModuleName("mill._saw"), 0, ImportContext.PICKLED, "model")
    plan = replace(PLAN, decisions=(decision,), graph=ImportGraph([named]))
    (problem,) = find_unowned(plan, [own, _extern("numlib", "numlib")])
    assert problem.module == "mill._saw"
    assert problem.fix.endswith('Policy(extern=["mill._saw"])')
    assert problem.chain == ("model is a mill._saw",)
    assert find_unowned(plan, [replace(own, soft=True)]) == []
    told = replace(plan, decisions=(replace(decision, reason='extern: "mill._saw"'),))
    assert find_unowned(told, [own]) == []


@pytest.mark.parametrize(
    ("source", "soft"),
    [
        ("import mill._saw", False),
        ("try:\n    import mill._saw\nexcept ImportError: pass", True),
        ("def cut():\n    import mill._saw", True),
        ("", False),  # nothing shows how it came
    ],
)
def test_a_compiled_module_of_nobody_is_soft_if_packed_code_may_do_without(
    forest: Forest, source: str, soft: bool
) -> None:
    forest.module("mill", "import timberlib.oak")
    forest.module("mill._saw", kind=ModuleKind.EXTENSION)
    forest.module("yard", source)
    forest.edges.append(Import(ModuleName("yard"), ModuleName("mill._saw"), 1, ImportContext.OBSERVED))
    decision = Decision(ModuleName("mill._saw"), Action.EXTERN, OF_NO_DISTRIBUTION, None)

    def found(trace: Trace) -> dict[str | None, bool]:
        externs, indirect = find_externs(trace, [decision], {ModuleName("yard")}, ())
        assert indirect == ()
        return {extern.distribution: extern.soft for extern in externs}

    trace = forest.trace("mill.Saw")
    assert found(trace) == {None: soft, "torch": False}
    unwatched = replace(trace, evidence=replace(trace.evidence, used=None))
    assert found(unwatched)[None] is False
    assert found(forest.trace("mill.Saw", "mill._saw.Blade"))[None] is False


def test_reasons_to_stay_outside_spread_over_imports(forest: Forest) -> None:
    for name in ("a", "b", "wandb", "wirelib"):
        forest.distribution(name)
        forest.module(name, distribution=name)
    forest.observed += [
        ObservedImport(*pair, 1) for pair in (("b", "a"), ("numlib", "b"), ("wandb", "wirelib"))
    ]
    reasons = extern_distributions(forest.trace("mill.Saw"), Policy())
    assert sorted(reasons) == ["a", "b", "numlib", "torch", "wandb"]
    assert reasons["a"] == "b, which is outside, imports it, and a distribution has one origin"
    assert reasons["wandb"].startswith("it logs")
    assert "wandb" not in extern_distributions(forest.trace("mill.Saw"), Policy(intern="wandb.**"))


def test_what_a_library_imports_stays_outside_with_it_but_for_what_a_rule_packs(forest: Forest) -> None:
    forest.distribution("shoplib")
    for module in ("shoplib", "shoplib.till"):
        forest.module(module, distribution="shoplib")
    for name in ("coinlib", "mintlib"):
        forest.distribution(name)
        forest.module(name, distribution=name)
    forest.observed += [ObservedImport(*pair, 1) for pair in (("shoplib", "coinlib"), ("coinlib", "mintlib"))]
    trace = forest.trace("mill.Saw", "shoplib.Shop", "shoplib.till.Till")

    def outside(**rules: Any) -> set[str]:
        return set(extern_distributions(trace, Policy(**rules))) & {"shoplib", "coinlib", "mintlib"}

    assert outside() == set()
    assert outside(extern="shoplib.**") == {"shoplib", "coinlib", "mintlib"}
    assert outside(extern="shoplib.till") == set()  # the rest of it is packed, and imports the packed copy
    assert outside(extern="shoplib.**", intern="coinlib") == {"shoplib"}
    assert extern_distributions(trace, Policy(extern="shoplib.**"))["shoplib"] == 'extern: "shoplib.**"'


def test_what_was_used_in_a_proof_is_hard() -> None:
    externs = (_extern("numlib", "numlib.fft", soft=True), _extern("wandb", "wandb", soft=True))

    def soft(used: set[str] | None) -> list[bool]:
        return [extern.soft for extern in with_hard(externs, used)]

    assert soft({"numlib", "wandb"}) == [False, True]  # what logs is never needed
    assert soft({"numlib.fft"}) == [True, True]
    assert soft(None) == [False, True]


def test_code_that_asks_for_a_version_gets_it(forest: Forest) -> None:
    trace = forest.trace("mill.Saw", asked=("barklib==2.0", "numlib==1.0"))
    assert asked_metadata(trace, [_extern("numlib", "numlib")]) == {
        "barklib": {"METADATA": b"Metadata-Version: 2.1\nName: barklib\nVersion: 2.0\n"}
    }
    assert [version_of(trace, name) for name in ("torch", "numlib", "nobody", None)] == [
        "2.8.0",
        "1.0",
        None,
        None,
    ]
