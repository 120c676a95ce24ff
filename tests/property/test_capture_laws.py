"""Laws of capturing code: whatever stands on a line, the function that is taken is the one that was live."""

from __future__ import annotations

from hypothesis import given, settings
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
