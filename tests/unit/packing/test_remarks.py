"""What is told about packs that are allowed and seldom meant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.support import PLAN
from wardian.domain.decisions import Decision
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.names import ModuleName
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.packing.remarks import REMARKS, Made

MILL = Decision(ModuleName("mill"), Action.INTERN, "first-party code", None)


def _made(plan: Plan = PLAN, bytecode_only: Sequence[str] = (), **objects: Any) -> Made:
    return Made(objects=objects or {"model": 1}, plan=plan, bytecode_only=bytecode_only)


def test_there_is_nothing_to_say_about_most_packs() -> None:
    made = _made(model=torch.nn.Linear(2, 1).eval())
    assert (made.warnings(), made.notes()) == ([], [])
    assert {level for level, _ in REMARKS} == {"warning", "note"}


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (torch.nn.Linear, "model is the class Linear, not an instance of it"),
        (torch.nn.Linear(2, 1).state_dict(), "model is a state_dict: the case has weights only"),
    ],
)
def test_objects_that_are_seldom_meant_are_warned_about(obj: object, words: str) -> None:
    (warning,) = _made(model=obj).warnings()
    assert warning.startswith(words)


def test_a_limit_that_no_new_process_has_is_told() -> None:
    (warning,) = replace(_made(), is_deep=True).warnings()
    assert f"call sys.setrecursionlimit({sys.getrecursionlimit()}) before" in warning.lower()


def test_code_that_only_this_python_runs_is_counted() -> None:
    (one,) = _made(bytecode_only=["mill"]).warnings()
    (four,) = _made(bytecode_only=["a", "b", "c", "d"]).warnings()
    assert one.startswith("mill has no source and is packed as bytecode")
    assert four.startswith("a, b, c and 1 more have no source and are packed as bytecode")
    (three,) = _made(bytecode_only=["a", "b", "c"]).warnings()
    assert three.startswith("a, b, c have no source")


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        ('deny: "vault"', "note"),
        ('mock: "vault"', "note"),
        ('deny: "valt" (near to it: vault)', "warning"),
        ('extern: "vault"', "warning"),
        ('intern: "deny: x"', "warning"),
    ],
)
def test_a_rule_that_guards_may_have_nothing_to_do(rule: str, level: str) -> None:
    made = _made(replace(PLAN, unmatched=(rule,)), a=1, b=2)
    told = {"warning": made.warnings(), "note": made.notes()}
    assert [len(told["warning"]), len(told["note"])] == ([1, 0] if level == "warning" else [0, 1])
    assert told[level][0].startswith(f"the rule {rule} matches no module that model reach")


def test_a_rule_that_packs_nothing_is_told() -> None:
    (told,) = _made(replace(PLAN, unkept=('intern: "torch": torch stays outside, it is PyTorch',))).warnings()
    assert told == 'a rule packs nothing: intern: "torch": torch stays outside, it is PyTorch'


def test_modules_in_training_mode_are_told() -> None:
    net = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(2, 1))
    (note,) = _made(net=net.train()).notes()
    assert note.startswith("net is in training mode and comes back so; ")
    assert note.endswith("something else than after net.eval()")
    assert _made(net=net.eval()).notes() == []


def _with_imports(*edges: tuple[str, ImportContext], decisions: tuple[Decision, ...] = (MILL,)) -> Made:
    imports = [Import(ModuleName("mill"), ModuleName(to), 4, how) for to, how in edges]
    return _made(replace(PLAN, decisions=decisions, graph=ImportGraph(imports)))


def test_installed_libraries_that_functions_import_later_are_told() -> None:
    later = ImportContext.FUNCTION
    (note,) = _with_imports(("hypothesis.strategies", later), ("hypothesis", later)).notes()
    assert note.startswith("hypothesis (mill, line 4): functions import it that did not run")
    assert "have it installed" in note


@pytest.mark.parametrize("name", ["nobody", "json", "torch.nn", "wardian", "mill"])
def test_what_is_there_or_not_installed_is_not_told(name: str) -> None:
    assert _with_imports((name, ImportContext.FUNCTION)).notes() == []


def test_only_what_the_users_functions_import_is_told() -> None:
    later, at_once = ImportContext.FUNCTION, ImportContext.UNCONDITIONAL
    assert _with_imports(("hypothesis", at_once)).notes() == []
    library = (replace(MILL, distribution="mill"),)
    assert _with_imports(("hypothesis", later), decisions=library).notes() == []


def test_denied_imports_are_told_as_the_plan_tells_them() -> None:
    assert _made(replace(PLAN, denied=("vault is denied",))).notes() == ["vault is denied"]
