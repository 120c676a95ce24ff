"""Checks of marshalled data: their claims are tested before `marshal` believes them.

`marshal` is not made for data that somebody has altered: it allocates for a tuple what five bytes claim.
"""

from __future__ import annotations

from typing import Final

__all__ = ["check_marshalled"]

_DEEPEST: Final = 256
"""Python nests functions in a hundred levels of indentation at most, each with its constants around it."""

# The types of CPython's Python/marshal.c, 3.11 to 3.13, by the number of bytes that follow.
_FIXED: Final = {
    **dict.fromkeys(b"0NFTS.", 0),
    ord("i"): 4,
    ord("r"): 4,
    ord("I"): 8,
    ord("g"): 8,
    ord("y"): 16,
}
_SIZED: Final = {**dict.fromkeys(b"stuaA", 4), **dict.fromkeys(b"zZf", 1)}
"""By the number of bytes of the length that follows."""
_ITEMS: Final = {**dict.fromkeys(b"([<>", 4), ord(")"): 1}
"""By the number of bytes of the count that follows."""
_SHARED: Final = 0x80
"""Set in a type if the object may be referred to."""


def check_marshalled(data: bytes) -> None:
    r"""Check that data have all that they claim.

    Args:
        data: What `marshal.dumps` wrote.

    Raises:
        ValueError: if they are cut off, nested deeper than code is, or of an unknown type.

    >>> check_marshalled(b"(\xff\xff\xff\x7f")
    Traceback (most recent call last):
        ...
    ValueError: it is cut off
    """
    try:
        _Reader(data).read(0)
    except IndexError:
        raise ValueError("it is cut off") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, depth: int) -> None:
        """Go through one object."""
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        kind = self._data[self._at] & ~_SHARED
        self._at += 1
        if kind in _FIXED:
            self._skip(_FIXED[kind])
        elif kind in _SIZED:
            self._skip(self._number(_SIZED[kind]))
        elif kind in _ITEMS:
            self._read_many(self._number(_ITEMS[kind]), depth)
        elif kind == ord("l"):  # an integer in digits of 15 bits; the sign is that of their number
            digits = self._number(4)
            self._skip(2 * min(digits, (1 << 32) - digits))
        elif kind == ord("x"):  # two numbers as texts
            for _ in range(2):
                self._skip(self._number(1))
        elif kind == ord("{"):
            while self._data[self._at] != ord("0"):
                self.read(depth + 1)
            self._at += 1
        elif kind == ord("c"):
            self._skip(20)  # five numbers
            self._read_many(8, depth)
            self._skip(4)  # the line
            self._read_many(2, depth)
        else:
            raise ValueError(f"it has an object of the unknown type {kind:#04x}")

    def _read_many(self, count: int, depth: int) -> None:
        if count > len(self._data) - self._at:  # each takes a byte
            raise ValueError("it is cut off")
        for _ in range(count):
            self.read(depth + 1)

    def _number(self, size: int) -> int:
        start = self._at
        self._skip(size)
        return int.from_bytes(self._data[start : self._at], "little")

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise ValueError("it is cut off")
