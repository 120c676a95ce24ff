"""Every error survives pickling with its facts, and the tree in the docstring is the tree of the classes."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from wardian import errors
from wardian.errors import Problem, WardianError

CLASSES = sorted(
    (c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, WardianError)),
    key=lambda c: c.__name__,
)
PROBLEMS = (Problem("a is missing", "pip install a", "a.b", ("model is an a.b", "a.py:1: a imports b")),)


@pytest.mark.parametrize("cls", CLASSES)
def test_pickling_and_copying_keep_words_and_facts(cls: type[WardianError]) -> None:
    error = cls(
        "what happened", path="model.case", record="model.pkl", problems=PROBLEMS, output="log", format=2
    )
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert str(again) == str(error)
        assert again._facts == error._facts
        assert (getattr(again, "path", None), getattr(again, "problems", None)) == ("model.case", PROBLEMS)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_words_are_the_message(cls: type[WardianError]) -> None:
    # KeyError shows the representation of its argument, ImportError has arguments of its own.
    assert str(cls("the case has no entry point 'decoder'", problems=())).startswith(
        "the case has no entry point 'decoder'"
    )


def _tree_in_the_docstring() -> dict[str, tuple[str, frozenset[str]]]:
    """Return class → (the class above it, builtins it also is)."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│├└─ ]*)(\w+Error)(?: +\((\w+)\))?(?: .*)?", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        del above[depth:]
        found[match[2]] = (above[-1] if above else "Exception", frozenset(filter(None, [match[3]])))
        above.append(match[2])
    return found


def test_the_docstring_draws_the_tree_of_the_classes() -> None:
    real = {
        c.__name__: (
            c.__bases__[0].__name__,
            frozenset(b.__name__ for b in c.__bases__[1:]),
        )
        for c in CLASSES
    }
    assert _tree_in_the_docstring() == real


def test_a_problem_reads_as_what_chain_and_fix() -> None:
    assert str(PROBLEMS[0]) == (
        "a is missing\n    model is an a.b\n    -> a.py:1: a imports b\n    fix: pip install a"
    )
    assert str(Problem("a is missing", "")) == "a is missing"


def test_all_problems_are_numbered_in_the_message() -> None:
    error = errors.PlanError("model cannot be packed", problems=[Problem("one", ""), Problem("two", "do it")])
    assert str(error) == "model cannot be packed; 2 problems:\n1. one\n2. two\n    fix: do it"
    assert str(errors.PackError("the disk is full")) == "the disk is full"
