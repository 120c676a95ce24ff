"""How constants are written, and when they still are what was written."""

from __future__ import annotations

import ast
import collections
import dataclasses
import math
from typing import Any

import pytest

from wardian.capture.literals import (
    UNKNOWN,
    is_as_written,
    is_cheap,
    is_held_elsewhere,
    is_made_by_python,
    literal_of,
    value_written,
)

_DEEP: Any = ()
for _ in range(20):
    _DEEP = (_DEEP,)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3, "3"),
        ("a\n", "'a\\n'"),
        (None, "None"),
        (..., "..."),
        (-0.0, "-0.0"),
        (math.inf, "float('inf')"),
        ((1,), "(1,)"),
        (frozenset({2, 1}), "frozenset({1, 2})"),
        (frozenset(), "frozenset()"),
    ],
)
def test_a_constant_is_written_as_people_do(value: Any, written: str) -> None:
    assert literal_of(value) == written


@pytest.mark.parametrize(
    "value", [[1], {}, (1, []), _DEEP, "x" * 100_000, 10**1000, len, collections.Counter()]
)
def test_what_is_no_constant_or_too_large_is_not_written(value: Any) -> None:
    assert literal_of(value) is None


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def test_a_value_is_compared_with_what_was_written() -> None:
    assert value_written(_expression("{'a': [1]}")) == {"a": [1]}
    assert value_written(_expression("load()")) is UNKNOWN
    assert is_as_written([1, 2], [1, 2])
    assert not is_as_written(1, True)
    assert not is_as_written([], [1])


def test_a_value_whose_repr_fails_is_not_what_was_written() -> None:
    class Sore(dict[str, int]):
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    assert not is_as_written(Sore(), Sore())


def test_a_container_that_others_hold_is_told_from_one_that_they_do_not() -> None:
    holder: dict[str, Any] = {"alone": {}, "shared": {}, "number": 3}
    other = holder["shared"]
    # Not in an assert, of which pytest keeps the parts.
    held = [name for name in holder if is_held_elsewhere(holder[name], 1)]
    assert held == ["shared"]
    assert other == {}


def test_parts_of_how_a_class_works() -> None:
    assert is_made_by_python(property(len))
    assert is_made_by_python(dataclasses.field(default=1))
    assert not is_made_by_python([1])
    assert is_cheap(ast)
    assert is_cheap(list[int])
    assert not is_cheap([1])
