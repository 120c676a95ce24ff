"""Plain data crosses as it is; what is no message is refused, and nothing else happens."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.sandbox.wire import LENGTH, MOST, CrossingError, WireError, decode, encode, pack, unpack


def _no_tensors(_: object) -> None:
    return None


def _cross(value: Any) -> Any:
    return decode(unpack(pack({"ok": encode(value, _no_tensors)})[LENGTH.size :])["ok"], [])


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
_KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text())


@given(
    st.recursive(
        _LEAVES,
        lambda below: st.lists(below) | st.dictionaries(_KEYS, below) | st.lists(below).map(tuple),
        max_leaves=20,
    )
)
def test_plain_data_comes_as_it_went(value: Any) -> None:
    came = _cross(value)
    assert came == value
    assert type(came) is type(value)


def test_what_no_json_knows_crosses_too() -> None:
    assert math.isnan(_cross(float("nan")))
    assert _cross([float("inf"), -0.0, 10**400, "\ud800"]) == [float("inf"), 0.0, 10**400, "\ud800"]


def test_of_a_subclass_comes_the_content() -> None:
    point = namedtuple("point", "x y")  # noqa: PYI024  libraries have these
    assert _cross(OrderedDict(a=point(1, 2))) == {"a": (1, 2)}


@pytest.mark.parametrize("value", [object(), {1, 2}, [len], {"a": range(3)}])
def test_anything_else_does_not_cross(value: object) -> None:
    with pytest.raises(CrossingError, match="only tensors and plain data do"):
        encode(value, _no_tensors)


def test_what_is_too_much_does_not_cross() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(CrossingError, match="levels"):
        encode(deep, _no_tensors)
    with pytest.raises(CrossingError, match="parts"):
        encode([0] * 300_000, _no_tensors)
    with pytest.raises(CrossingError, match="tensors"):
        pack({"ok": "x" * MOST})


@pytest.mark.parametrize("keys", [range(0, (1 << 61) * 2000, (1 << 61) - 1), ((i,) for i in range(2000))])
def test_many_keys_whose_hashes_may_be_equal_do_not_come(keys: Any) -> None:
    few = dict.fromkeys(itertools.islice(iter(keys), 1000))
    assert _cross(few) == few
    with pytest.raises(WireError, match="tuples or large numbers"):
        _cross({**few, **dict.fromkeys(keys)})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(list("ltdbcx")),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=30,
)


@given(_JSON)
def test_whatever_comes_is_data_or_refused(form: Any) -> None:
    with contextlib.suppress(WireError):
        decode(form, [0])


@given(st.binary())
def test_whatever_bytes_come_are_a_message_or_refused(content: bytes) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(unpack(content), dict)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"9" * 10_000, b"\xff", b'{"a": 1', b"[]", b"null", b""])
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(WireError):
        unpack(content)


@pytest.mark.parametrize(
    "form",
    [
        [],
        {},
        {"l": 1},
        ["q"],
        [["l"]],
        ["x"],
        ["x", 0],
        ["x", -1],
        ["x", True],
        ["x", "0"],
        ["b", 1],
        ["b", "*"],
        ["b", "AAAA", "AAAA"],
        ["c", 1.0],
        ["c", "1", "2"],
        ["d", "a"],
        ["d", "a", 1, "a", 2],
        ["d", ["l"], 1],
        ["l", {}],
    ],
)
def test_a_form_that_there_is_not_is_refused(form: Any) -> None:
    with pytest.raises(WireError):
        decode(form, [])


def test_levels_and_parts_that_come_have_an_end() -> None:
    deep: Any = ["l"]
    for _ in range(100):
        deep = ["l", deep]
    with pytest.raises(WireError, match="levels"):
        decode(deep, [])
    with pytest.raises(WireError, match="parts"):
        decode(["l", *([0] * 300_000)], [])
