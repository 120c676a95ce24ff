"""The opcodes of a pickle, and where each ends."""

from __future__ import annotations

import re
from typing import Final, NoReturn

__all__ = [
    "ADDITEMS",
    "BINGET",
    "COUNTED",
    "EMPTY_SET",
    "FETCHES",
    "FRAME",
    "FROZENSET",
    "GLOBAL",
    "HEADER",
    "MARK",
    "MEMOIZE",
    "NUMBERS",
    "POP",
    "POP_MARK",
    "PUT",
    "PUTS",
    "SHORT_BINUNICODE",
    "STACK_GLOBAL",
    "STOP",
    "STRINGS",
    "fail",
    "fetch_index",
    "fetch_of",
    "frame_end",
    "global_names",
    "is_flat",
    "literal_of",
    "run_of_plain",
    "run_of_tokens",
    "run_without_marks",
    "split_items",
    "split_texts",
    "split_tokens",
    "token_end",
]


# The opcodes of CPython's Lib/pickle.py that need a treatment of their own.
MARK: Final = 0x28
POP: Final = 0x30
POP_MARK: Final = 0x31
STOP: Final = 0x2E
_BINUNICODE: Final = 0x58
GLOBAL: Final = 0x63
BINGET: Final = 0x68
_LONG_BINGET: Final = 0x6A
_BINPUT: Final = 0x71
_LONG_BINPUT: Final = 0x72
SHORT_BINUNICODE: Final = 0x8C
_BINUNICODE8: Final = 0x8D
EMPTY_SET: Final = 0x8F
ADDITEMS: Final = 0x90
FROZENSET: Final = 0x91
STACK_GLOBAL: Final = 0x93
MEMOIZE: Final = 0x94
FRAME: Final = 0x95

HEADER: Final = b"\x80\x04"
PUT: Final = b"\x94"

# Opcodes that are copied as they are: those without argument, and those with one of a fixed size.
_PLAIN: Final = b"(0)t]ae}suNRbQ\x81\x85\x86\x87\x88\x89\x8f\x92"
_FIXED: Final = {ord("K"): 1, ord("M"): 2, ord("J"): 4, ord("G"): 8}
# Opcodes with a length in front of their content, by the size of the length.
COUNTED: Final = {
    ord("B"): 4,  # BINBYTES
    ord("C"): 1,  # SHORT_BINBYTES
    0x8A: 1,  # LONG1
    0x8B: 4,  # LONG4
    0x8E: 8,  # BINBYTES8
    _BINUNICODE: 4,
    SHORT_BINUNICODE: 1,
    _BINUNICODE8: 8,
}
# Opcodes of numbers that can be a persistent id: how long they are, BINPERSID included.
NUMBERS: Final = {ord("K"): 3, ord("M"): 4, ord("J"): 6}
STRINGS: Final = (SHORT_BINUNICODE, _BINUNICODE, _BINUNICODE8)
FETCHES: Final = (BINGET, _LONG_BINGET)
PUTS: Final = (_BINPUT, _LONG_BINPUT)
_REFUSED: Final = {
    0x82: "EXT1: extension codes are private to a process",
    0x83: "EXT2: extension codes are private to a process",
    0x84: "EXT4: extension codes are private to a process",
    0x96: "BYTEARRAY8 is of protocol 5",
    0x97: "NEXT_BUFFER: out-of-band buffers are of protocol 5",
    0x98: "READONLY_BUFFER: out-of-band buffers are of protocol 5",
}


def _counted(opcode: bytes, sizes: range) -> bytes:
    """Return the form of an opcode with a length of one byte and as many bytes behind it.

    A regular expression cannot count, so it has an alternative for each length; these are compared at a
    nanosecond each.
    """
    sized = (re.escape(b"%c" % size) + b".{%d}" % size for size in sizes)
    return re.escape(opcode) + b"(?:" + b"|".join(sized) + b")"


_SHORT: Final = _counted(b"\x8c", range(64))
"""The literal of a string that is not long."""
_NUMBERS: Final = rb"K.|M..|J.{4}"
_OTHERS: Final = b"|".join([rb"G.{8}", _counted(b"\x8a", range(9)), _counted(b"C", range(64))])
_PLAIN_RUN: Final = b"(?:[%b]++|%b|%b)*+" % (
    re.escape(bytes(op for op in _PLAIN if op != ord("Q"))),
    # Not the persistent ids that are numbers: those are places in a list of tensors.
    rb"K.(?!Q)|M..(?!Q)|J.{4}(?!Q)|Q",
    _OTHERS,
)


def _form(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


# Possessive (*+): a list of a million integers is one run and must not fill the backtracking stack.
run_of_plain: Final = _form(_PLAIN_RUN).match
_TOKEN: Final = rb"%b(?:%b\x94|\x94|%b|%b)"
_PARTS: Final = (_PLAIN_RUN, _SHORT, rb"h.|j.{4}", rb"(?:%b)Q" % _NUMBERS)
run_of_tokens: Final = _form(rb"(?:%b){0,4096}+" % _TOKEN % tuple(b"(?:%b)" % part for part in _PARTS)).match
"""Matches many tokens in a row: what is plain, and a string with MEMOIZE, a MEMOIZE, a fetch or a tensor."""
split_tokens: Final = _form(_TOKEN % tuple(b"(%b)" % part for part in _PARTS)).split
"""Splits such a row into nothing and the four parts of a token, over and over: what is plain, the literal of
a string, a fetch, the number of a tensor; the last three are None where a token has none."""
split_texts: Final = _form(b"(%b)(%b)" % (_PLAIN_RUN, _SHORT)).split
"""Splits a row of short strings that are not put into nothing, what is plain, and the string."""
# Without the opcodes that touch marks, and with strings and the opcodes of the memo: to find marks quickly.
run_without_marks: Final = _form(
    b"(?:[%b]++|%b)*+"
    % (
        re.escape(bytes(op for op in _PLAIN if op not in b"(teu") + b"\x93\x94"),
        b"|".join([_NUMBERS, _SHORT, _OTHERS, rb"[hq].", rb"[jr].{4}"]),
    )
).match


_ATOM: Final = b"[N\x88\x89]|%b|G.{8}|%b" % (_NUMBERS, _counted(b"\x8a", range(9)))
_FRAME: Final = rb"\x95.{8}"
_ITEM: Final = rb"%b\x94|%b|%b"
_ITEM_PARTS: Final = (_SHORT, rb"h.|j.{4}", _ATOM)
# No group within what is possessive: https://github.com/python/cpython/issues/101955
_ITEMS: Final = b"(?:%b|%b)*+" % (_ITEM % tuple(b"(?:%b)" % part for part in _ITEM_PARTS), _FRAME)
is_flat: Final = _form(rb"\(%b\x91|(?:\(%b\x90(?:%b)*+)++" % (_ITEMS, _ITEMS, _FRAME)).fullmatch
"""Matches the stretch of a set or frozenset that holds only short strings, numbers, booleans and None."""
split_items: Final = _form(
    rb"%b|[(\x90\x91]|%b" % (_ITEM % tuple(b"(%b)" % part for part in _ITEM_PARTS), _FRAME)
).split
"""Splits such a stretch into nothing and the parts of an item, over and over: the literal of a string, a
fetch, the opcode of another; at most one is not None."""


def fail(position: int, what: str) -> NoReturn:
    """Refuse a pickle.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"malformed pickle at byte {position}: {what}")


def literal_of(text: bytes) -> bytes:
    """Return the opcode and argument that push the string that is *text* in UTF-8."""
    size = len(text)
    if size < 1 << 8:
        return b"\x8c%c" % size + text
    if size < 1 << 32:
        return b"X" + size.to_bytes(4, "little") + text
    return b"\x8d" + size.to_bytes(8, "little") + text


def fetch_of(entry: int) -> bytes:
    """Return the opcode and argument that fetch a memo entry."""
    return b"h%c" % entry if entry < 256 else b"j" + entry.to_bytes(4, "little")


def token_end(data: bytes, position: int) -> int:
    """Where the opcode at *position*, with its argument, ends; for all but STOP and FRAME.

    Raises:
        ValueError: if the opcode is unknown or refused, or its argument is cut off.
    """
    size = len(data)
    if position >= size:
        fail(size, "the pickle ends without STOP")
    op = data[position]
    width = COUNTED.get(op)
    if width is not None:
        end = position + 1 + width
        if end <= size:
            end += int.from_bytes(data[position + 1 : end], "little")
    elif op in _PLAIN or op in (MEMOIZE, STACK_GLOBAL, ADDITEMS, FROZENSET, POP_MARK):
        end = position + 1
    elif op in _FIXED:
        end = position + 1 + _FIXED[op]
    elif op in (BINGET, _BINPUT):
        end = position + 2
    elif op in (_LONG_BINGET, _LONG_BINPUT):
        end = position + 5
    elif op == GLOBAL:
        end = data.find(b"\n", data.find(b"\n", position) + 1) + 1
        if end == 0 or data.find(b"\n", position) < 0:
            end = size + 1
    elif op in _REFUSED:
        fail(position, _REFUSED[op])
    else:
        fail(position, f"unexpected opcode {op:#04x}")
    if end > size:
        fail(position, "the argument of the opcode is cut off")
    return end


def frame_end(data: bytes, position: int) -> int:
    """Where the opcode FRAME at *position* ends. Frames only group bytes; they are left out."""
    end = position + 9
    if end + int.from_bytes(data[position + 1 : end], "little") > len(data):
        fail(position, "the frame is longer than the pickle")
    return end


def fetch_index(data: bytes, position: int) -> int:
    """Return the memo entry that the opcode at *position* fetches."""
    return int.from_bytes(data[position + 1 : token_end(data, position)], "little")


def global_names(data: bytes, position: int, end: int) -> tuple[bytes, bytes]:
    """Return module and qualified name of the opcode GLOBAL from *position* to *end*."""
    module, qualname = data[position + 1 : end - 1].split(b"\n")
    return module, qualname
