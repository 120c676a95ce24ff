"""Trees of plain values, which are pickled without a memo: the bytes are those of the way with one."""

from __future__ import annotations

import collections
import io
import pickle
from typing import Any

import pytest

from wardian.pickling import plain
from wardian.pickling.canonical import canonicalise
from wardian.pickling.pickler import pickle_object
from wardian.pickling.plain import pickle_plain

_LONG = 70_000
"""Bytes from which the pickler writes a text or bytes outside of its frames."""


@pytest.mark.parametrize(
    "held",
    [
        None,
        -(2**70),
        1.5,
        "text",
        (),
        [(), (), [], {}, "", "", None, True],
        {"a": 1, 2: ["b", {"c": (1, "d", 2.5)}]},
        {n: str(n) for n in range(2_001)},
        ["x" * n for n in (0, 1, 63, 64, 255, 256, _LONG)],
        [b"y" * n for n in (0, 1, 63, 64, 255, 256, _LONG)],
        # The \x94 in them is no opcode
        ["\x94", "é\x8c\x03abc", "\ud800", 0x94, b"\x94", 2.0**-148],
        [f"key{n}" for n in range(20_000)],
    ],
)
def test_what_is_met_once_is_written_as_by_way_of_the_memo(held: Any) -> None:
    assert pickle_plain(held) == canonicalise(pickle.dumps(held, 4)).data


@pytest.mark.parametrize(
    "held",
    [
        [{"name": n, "sizes": ["name", f"a{n}"]} for n in range(50)],
        # More than fit into an index of one byte, and their first occurrences far apart
        [[f"a{n}" for n in range(600)], [f"a{n}" for n in reversed(range(0, 600, 2))]],
        ["a", "a"],
        ["x" * _LONG, "a", "x" * _LONG, "a"],
        ["a", b"a", "a", b"a" * 300],
    ],
)
def test_equal_texts_are_written_once(held: Any) -> None:
    copied = pickle.loads(pickle.dumps(held, 4))
    apart = eval(repr(copied))
    expected = canonicalise(pickle.dumps(held, 4)).data
    assert pickle_plain(copied) == pickle_plain(apart) == expected


def _cycle() -> list[Any]:
    held: list[Any] = []
    held.append([held])
    return held


def _deep() -> list[Any]:
    held: list[Any] = []
    for _ in range(100_000):
        held = [held]
    return held


_LIST: list[int] = []
_PAIR = (1, 2)
_BYTES = bytes([1, 2, 3])


@pytest.mark.parametrize(
    "held",
    [
        [_LIST, {"a": _LIST}],
        [_PAIR, [_PAIR]],
        [_BYTES, _BYTES],
        _cycle(),
        _deep(),
        [1, 2j],
        {"a": {"b"}},
        [collections.OrderedDict()],
        [len],
        [True, object()],
    ],
    ids=["list", "tuple", "bytes", "cycle", "deep", "complex", "set", "subclass", "function", "object"],
)
def test_what_is_met_twice_or_is_something_else_is_left_to_the_memo(held: Any) -> None:
    assert pickle_plain(held) is None


def test_what_another_thread_puts_inside_meanwhile_is_not_written_so() -> None:
    with pytest.raises(plain._NotPlainError):
        plain._Pickler(io.BytesIO(), 4).dump([1, len])


def test_the_pickle_of_an_object_tells_whether_it_is_plain() -> None:
    def pickled(held: Any) -> bool:
        return pickle_object(held, name="held", persistent_id=lambda part: None).is_plain

    assert pickled({"a": [1, 2]})
    assert not pickled({"a": [1, len]})
