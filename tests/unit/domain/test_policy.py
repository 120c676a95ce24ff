from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from wardian.domain.globs import GlobGroup
from wardian.domain.policy import Action, Policy, Rule


def test_the_pattern_that_matches_decides() -> None:
    policy = Policy(intern=["mylib.**"], extern=["numpy.**", "scipy.**"])
    assert str(policy.rule_for("mylib.models.resnet")) == 'intern: "mylib.**"'
    assert str(policy.rule_for("scipy.linalg")) == 'extern: "scipy.**"'
    assert policy.rule_for("torch") is None


def test_the_more_cautious_verb_wins() -> None:
    verbs = {"intern": "a.**", "extern": "a.**", "mock": "a.**", "deny": "a.**"}
    for verb in ("deny", "mock", "extern", "intern"):
        rule = Policy(**verbs).rule_for("a.b")  # type: ignore[arg-type]
        assert rule is not None
        assert rule.action == verb
        del verbs[verb]


def test_one_pattern_needs_no_list() -> None:
    assert Policy(intern="mylib.**") == Policy(intern=["mylib.**"]) == Policy(intern=iter(("mylib.**",)))
    assert Policy().rules == ()


def test_ordered_rules_decide_in_their_order() -> None:
    first = Rule(Action.INTERN, GlobGroup("mylib.**", exclude="mylib.native.**"), allow_empty=False)
    second = Rule(Action.DENY, GlobGroup("**"))
    policy = Policy.ordered(iter([first, second]), base="thin")
    assert policy.rule_for("mylib.ops") is first
    assert policy.rule_for("mylib.native") is second
    assert str(first) == 'intern: "mylib.**" except "mylib.native.**"'
    assert policy.base == "thin"
    assert not policy.rules[0].allow_empty


def test_policies_are_values() -> None:
    policy = Policy(extern="numpy.**", base="thin")
    assert policy == Policy(extern="numpy.**", base="thin") != Policy(extern="numpy.**")
    assert hash(policy) == hash(Policy(extern="numpy.**", base="thin"))
    assert pickle.loads(pickle.dumps(policy)) == policy
    with pytest.raises(FrozenInstanceError):
        policy.base = "hermetic"  # type: ignore[misc]


@pytest.mark.parametrize("given", [3, None, json, [json], [b"a"], b"a", {"a": 1}, [("a", "b")]])
def test_patterns_of_another_type(given: object) -> None:
    with pytest.raises(TypeError, match=r'extern takes .* such as extern=\["mylib\.\*\*"\]'):
        Policy(extern=given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("", "matches no module name"),
        ("a..b", "matches no module name"),
        (".a", "matches no module name"),
        ("a b", "matches no module name"),
        ("mylib/**", "write dots, not a path"),
        ("segmentation-models-pytorch.**", "perhaps 'segmentation_models_pytorch.**'"),
        ("torch**", "must stand alone"),
    ],
)
def test_patterns_that_match_nothing(pattern: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        Policy(deny=[pattern])
    assert hint in str(caught.value)


def test_patterns_with_stars_in_parts() -> None:
    assert Policy(mock=["*", "**.te*ts.**", "_*2"]).rule_for("a.texts.b") is not None


def test_an_unknown_base() -> None:
    with pytest.raises(ValueError, match='"hermetic", "whole" or "thin", not \'fat\''):
        Policy(base="fat")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='"hermetic", "whole" or "thin", not \'fat\''):
        Policy.ordered([], base="fat")  # type: ignore[arg-type]


def test_ordered_takes_rules() -> None:
    with pytest.raises(TypeError, match="is needed, not 'a'"):
        Policy.ordered(["a"])  # type: ignore[list-item]


def test_a_lone_policy_is_keyword_only() -> None:
    with pytest.raises(TypeError):
        Policy("a")  # type: ignore[call-arg]


def test_patterns_with_exceptions() -> None:
    mine = GlobGroup("mylib.**", exclude="mylib.native.**")
    policy = Policy(intern=mine, extern=[GlobGroup("numpy.**"), "PIL"])
    assert policy.rule_for("mylib.native.ops") is None
    assert str(policy.rule_for("mylib.nn")) == 'intern: "mylib.**" except "mylib.native.**"'
    assert str(policy.rule_for("numpy.linalg")) == 'extern: "numpy.**"'
    with pytest.raises(ValueError, match="write dots, not a path"):
        Policy(intern=GlobGroup("mylib.**", exclude="mylib/native"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"exern": "numpy"}, r"no argument 'exern'; did you mean extern="),
        ({"exclude": "numpy"}, r"no argument 'exclude'; did you mean extern="),
        ({"qqq": 1}, r"no argument 'qqq'; it has deny, mock, extern, intern, base"),
        ({"interm": 1, "mok": 1}, r"'interm'; did you mean intern=\?; Policy .* 'mok'; did you mean mock="),
    ],
)
def test_a_wrong_argument_has_a_near_one(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Policy(**wrong)
