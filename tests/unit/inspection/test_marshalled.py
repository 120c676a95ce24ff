"""What marshalled data claim is tested before `marshal` believes it."""

from __future__ import annotations

import contextlib
import marshal
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.inspection.marshalled import check_marshalled

constants = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.complex_numbers(allow_nan=False),
        st.text(max_size=300),
        st.binary(max_size=9),
        st.just(...),
        st.just(StopIteration),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=12,
)


@given(constants, st.integers(min_value=0, max_value=4))
def test_what_marshal_has_written_passes_in_every_version(value: Any, version: int) -> None:
    check_marshalled(marshal.dumps(value, version))


@given(constants, st.data())
def test_what_is_cut_off_is_refused(value: Any, data: st.DataObject) -> None:
    whole = marshal.dumps(value)
    with pytest.raises(ValueError, match="cut off"):
        check_marshalled(whole[: data.draw(st.integers(min_value=0, max_value=len(whole) - 1))])


@given(st.binary(max_size=40))
def test_what_passes_marshal_reads_or_refuses_with_an_error(data: bytes) -> None:
    try:
        check_marshalled(data)
    except ValueError:
        return
    with contextlib.suppress(ValueError, EOFError, TypeError):
        marshal.loads(data)


def test_code_nests_as_deep_as_python_allows_and_no_deeper() -> None:
    value: Any = None
    for _ in range(256):
        value = (value,)
    check_marshalled(marshal.dumps(value))
    with pytest.raises(ValueError, match="nested too deeply"):
        check_marshalled(marshal.dumps((value,)))


def test_code_passes_and_code_that_is_cut_off_does_not() -> None:
    code = compile("def grow(x, *, y=2):\n    '''Grow.'''\n    return lambda: x + y\n", "yew.py", "exec")
    assert isinstance(code, types.CodeType)
    data = marshal.dumps(code)
    check_marshalled(data)
    for end in range(0, len(data), 7):
        with pytest.raises(ValueError, match="cut off"):
            check_marshalled(data[:end])


@pytest.mark.parametrize("data", [b"?", b"(\x01\x00\x00\x00?", b"{?"])
def test_an_unknown_type_is_named(data: bytes) -> None:
    with pytest.raises(ValueError, match="unknown type 0x3f"):
        check_marshalled(data)
