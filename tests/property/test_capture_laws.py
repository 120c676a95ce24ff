"""Laws of capturing code: whatever stands on a line, the function that is taken is the one that was live."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.capture.transplant import execute, take, transplant
from wardian.capture.texts import find_function

numbers = st.integers(min_value=0, max_value=9).map(str)
leaves = st.one_of(numbers, st.sampled_from(["x", "K"]))
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, inner).map(lambda t: f"(lambda y: y + {t[0]})({t[1]})"),
        inner.map(lambda e: f"(\n  {e}\n)"),
        inner.map(lambda e: f"len('''a\n''' * {e})"),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=4))
def test_each_lambda_of_a_line_comes_back_as_itself(bodies: list[str]) -> None:
    made = execute(f"K = 3\nmany = [{', '.join(f'lambda x: {body}' for body in bodies)}]")
    copies = transplant(made["many"])
    for live, copy in zip(made["many"], copies, strict=True):
        assert [copy(x) for x in range(3)] == [live(x) for x in range(3)]


@settings(max_examples=60, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=4))
def test_the_syntax_that_is_found_is_that_of_the_code(bodies: list[str]) -> None:
    made = execute(f"K = 3\nmany = [{', '.join(f'lambda x: {body}' for body in bodies)}]")
    for live, body in zip(made["many"], bodies, strict=True):
        found = find_function(live.__code__)
        assert found is not None
        text, node = found
        lines = text.slice((node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0))
        assert lines == f"lambda x: {body}"


@settings(max_examples=30, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=3))
def test_equal_sources_give_equal_modules(bodies: list[str]) -> None:
    source = f"K = 3\nmany = [{', '.join(f'lambda x: {body}' for body in bodies)}]"
    (one, first), (two, second) = take(execute(source)["many"]), take(execute(source)["many"])
    assert one == two
    assert [m.source for m in first.modules().values()] == [m.source for m in second.modules().values()]


constants = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.just(...),
        st.integers(),
        st.integers(4_000, 5_000).map(lambda digits: -(10**digits) + 7),
        st.floats(),
        st.complex_numbers(),
        st.text(st.characters()),
        st.text(st.characters(categories=["Cs"])),
        st.binary(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.tuples(inner, st.integers(10, 300)).map(lambda t: _nested(*t)),
    ),
    max_leaves=4,
)


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = (value,)
    return value


def _bits(value: Any) -> Any:
    if isinstance(value, float | complex):
        return type(value), struct.pack("<dd", value.real, value.imag)
    if isinstance(value, frozenset):
        return frozenset, frozenset(map(_bits, value))
    depth = 0
    while isinstance(value, tuple) and len(value) == 1:
        value, depth = value[0], depth + 1
    if isinstance(value, tuple):
        return tuple, depth, tuple(map(_bits, value))
    return (type(value), depth, value) if not depth else (depth, _bits(value))


@settings(max_examples=60, deadline=None)
@example(complex(-0.0, 1.0))
@example(complex(0.0, -math.nan))
@example(-math.nan)
@example((-0.0, math.inf, frozenset({1.0, "\ud800"})))
@given(constants)
def test_a_constant_comes_back_bit_for_bit(value: Any) -> None:
    made = execute("def read():\n    return K", K=value)
    assert _bits(transplant(made["read"])()) == _bits(value)


def test_a_long_table_of_constants_is_no_source() -> None:
    made = execute("K = b''\ndef read():\n    return K")
    made["K"] = bytes(100_000)
    _, capture = take(made["read"])
    assert sum(len(module.source) for module in capture.modules().values()) < 50_000
    assert transplant(made["read"])() == made["K"]


@pytest.mark.parametrize("where", ["K: object = {}", "K, other = {}, 1", "K = {}"])
def test_a_constant_of_a_class_or_default_argument_that_no_source_gives(where: str) -> None:
    expression = "10 ** 5000"
    body = f"    {where.format(expression)}\n    def run(self, a={expression}):\n        return self.K == a\n"
    made = execute(f"class Net:\n{body}")
    assert transplant(made["Net"]()).run()
