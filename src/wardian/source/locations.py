"""Code without the columns at which its instructions stand in their lines.

CPython notes of each instruction from which column to which its expression goes, for the marks below lines of
tracebacks (https://peps.python.org/pep-0657/). They are a quarter of deflated bytecode.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from types import CodeType

__all__ = ["without_columns"]


def without_columns(code: CodeType) -> CodeType:
    """Return code with lines and no columns, which answers as what `python -X no_debug_ranges` compiles.

    Its tables are shorter than those: what follows each other in one line is one entry. It is returned as it
    is by an interpreter whose tables may have another form.

    >>> code = without_columns(compile("x = 1", "mylib.py", "exec"))
    >>> [(line, column) for line, _, column, _ in code.co_positions()][-1]
    (1, None)
    """
    if not _IS_KNOWN:
        return code
    constants = tuple([without_columns(c) if isinstance(c, CodeType) else c for c in code.co_consts])
    return code.replace(co_linetable=_joined(_only_lines(code.co_linetable)), co_consts=constants)


_IS_KNOWN = sys.implementation.name == "cpython" and sys.version_info < (3, 15)


def _only_lines(table: bytes) -> bytes:
    """Return a table of locations with each entry as one of lines only; one of no location stays.

    As `remove_column_info` does it (https://github.com/python/cpython/blob/3.11/Objects/codeobject.c). Only
    the first byte of an entry is above 127. But for its last three bits, which are a length, it tells what
    follows (https://github.com/python/cpython/blob/3.11/Objects/locations.md):

    - 0x80 to 0xc8: one byte of columns; the line is that of the entry before
    - 0xd0, 0xd8, 0xe0: two bytes of columns; the line is the same, the next one, or the one after it
    - 0xe8: how many lines further it is, six bits in each byte and one that tells of another byte
    - 0xf0: the same, then the last line and columns
    - 0xf8: nothing
    """
    table = b"".join(_LONG.split(table))
    # All entries at once, as one number, in which the next byte is eight bits higher: a loop takes four times
    # as long.
    third = _number(table, _THIRD)
    cleared = _number(table, _CLEARED) | (third - (third >> 7)) << 8
    filled = _number(table, _FURTHER) | third << 8
    number = _number(table, _FIRST) & ~(cleared << 8) | filled << 8
    # Something is above the end where the last entry is cut off.
    return number.to_bytes(len(table) + 2, "little")[: len(table)].translate(None, _DROPPED)


def _number(table: bytes, values: bytes) -> int:
    return int.from_bytes(table.translate(values), "little")


def _joined(table: bytes) -> bytes:
    """Return a table, of lines only, in which what follows each other in one line is one entry."""
    parts = _SAME_LINE.split(table)
    parts[1::2] = map(_as_few, parts[1::2])
    return b"".join(parts)


@lru_cache(maxsize=1 << 15)  # timm has 17,000 different ones
def _as_few(entries: bytes) -> bytes:
    """Return entries, of which only the first goes to another line, as few of them, of up to eight units."""
    end = 2
    while entries[end] < 0x80:
        end += 1
    whole, rest = divmod(sum(entries.translate(_UNITS)), 8)
    firsts = b"\xef" * whole + (bytes([0xE7 + rest]) if rest else b"")
    return firsts[:1] + entries[1:end] + b"".join(b"%c\0" % first for first in firsts[1:])


_LONG = re.compile(rb"([\xf0-\xf7][\x40-\x7f]*[\x00-\x3f])[\x00-\x7f]*")
"""An entry of kind 0xf0. What is in parentheses is also one of lines only, but for its kind."""

# What `bytes.translate` makes of each byte:
_FIRST = bytes([*range(0x80), *(0xE8 | byte & 7 for byte in range(0x80, 0xF8)), *range(0xF8, 0x100)])
"""The byte, or the first one of an entry of lines only."""
_CLEARED = bytes([0] * 0x80 + [0x7F] * 0x68 + [0] * 0x18)
"""The bits to clear in the next byte, of columns."""
_FURTHER = bytes([0] * 0xD0 + [0] * 8 + [2] * 8 + [4] * 8 + [0] * 0x18)
"""The bits to set there: how much further the line is, above the bit of the sign."""
_THIRD = bytes([0] * 0xD0 + [0x80] * 0x18 + [0] * 0x18)
"""The bits to set in the byte after the next one, which goes."""
_DROPPED = b"\x80"

_SAME_LINE = re.compile(rb"([\xe8-\xef][\x40-\x7f]*[\x00-\x3f](?:[\xe8-\xef]\x00)+)")
_UNITS = bytes([0] * 0xE8 + [*range(1, 9)] + [0] * 0x10)
"""The units of code, of two bytes each, that an entry without columns is for, by its first byte."""
