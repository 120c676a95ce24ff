"""Pickles of TorchScript in a form that depends on the objects alone, not on how they were made.

PyTorch remembers an object for later in the stream if something else in the process refers to it, too, and
numbers lines of source in the order in which it met them: an object that was loaded is written otherwise
than it was before (torch/csrc/jit/serialization: `Pickler::pushIValue`, `SourceRangePickler`).
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardian.domain.names import RecordName

__all__ = ["in_one_form"]

_DEBUG = ".debug_pkl"
_FORMAT = "FORMAT_WITH_STRING_TABLE"
_GLOBAL = b"ctorch.jit._pickle\nbuild_intlist\n"

_MARK = object()


def in_one_form(records: Mapping[RecordName, bytes]) -> dict[RecordName, bytes]:
    """Return the records of TorchScript, of which equal objects have equal ones.

    Args:
        records: Name → content; all of one archive, as lines of source are numbered throughout.
    """
    tags = _Tags()
    written = dict(records)
    for name in sorted(records):
        if name.endswith(_DEBUG):
            written[name] = _debug_in_one_form(records[name], tags)
        elif name.endswith(".pkl"):
            written[name] = pickletools.optimize(records[name])
    return written


@dataclass(frozen=True, slots=True)
class _IntList:
    """A list of integers, as `torch.jit._pickle.build_intlist` makes it."""

    numbers: tuple[int, ...]


@dataclass(slots=True)
class _Tags:
    """Numbers that parts of source have; PyTorch gives them to the parts of one file, by identity."""

    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def of(self, part: tuple[Any, ...], tag: int) -> int:
        """Return the number of a part; what has none keeps that."""
        return tag if tag < 0 else self._known.setdefault(part, len(self._known))


class _UnknownFormError(Exception):
    """A release of PyTorch writes something else."""


def _debug_in_one_form(data: bytes, tags: _Tags) -> bytes:
    """Return what tells from where the lines of a file of TorchScript are."""
    try:
        match _read(data):
            case (str(form), (*texts,), (*parts,)) if form == _FORMAT and all(
                isinstance(t, str) for t in texts
            ):
                return _write((form, *_renumbered(texts, parts, tags)))
    except _UnknownFormError:
        pass
    return data


def _renumbered(texts: list[str], parts: list[Any], tags: _Tags) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    table: dict[str, int] = {}

    def number(text: str) -> int:
        return table.setdefault(text, len(table))

    written = []
    for part in parts:
        match part:
            case (int(offset), ((_IntList(lines), int(file), int(line)), int(begin), int(end)), int(tag)) if (
                max((*lines, file), default=0) < len(texts) and min((*lines, file), default=0) >= 0
            ):
                # Of no source there is one line, which is empty, or none.
                own = tuple(texts[index] for index in lines if texts[index])
                place = (own, texts[file], line, begin, end)
                source = (_IntList(tuple(map(number, own))), number(texts[file]), line)
                written.append((offset, (source, begin, end), tags.of(place, tag)))
            case _:
                raise _UnknownFormError
    return tuple(table), tuple(written)


def _read(data: bytes) -> Any:
    """Return what a pickle of texts, numbers, tuples and lists of numbers holds."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(data):
        match opcode.name:
            case "PROTO":
                pass
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "GLOBAL" if argument == "torch.jit._pickle build_intlist":
                stack.append(_IntList)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                stack.append(_MARK)
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = _to_mark(stack)
                stack[-1].extend(items)
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(_to_mark(stack))
            case "TUPLE1" | "TUPLE2" | "TUPLE3" as name:
                count = int(name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "REDUCE" if stack[-2] is _IntList:
                (numbers,) = stack.pop()
                stack[-1] = _IntList(tuple(numbers))
            case "STOP":
                return stack.pop()
            case _:
                raise _UnknownFormError
    raise _UnknownFormError


def _to_mark(stack: list[Any]) -> tuple[Any, ...]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return tuple(reversed(items))


def _write(value: Any) -> bytes:
    """Return the pickle of what `_read` gives; equal parts stand in it once."""
    memo: dict[Any, int] = {}
    written: list[bytes] = [b"\x80\x02"]

    def put(value: Any) -> None:
        if isinstance(value, int):
            written.append(_number(value))
            return
        known = memo.get(value)
        if known is not None:
            written.append(b"h" + bytes([known]) if known < 256 else b"j" + known.to_bytes(4, "little"))
            return
        if isinstance(value, str):
            data = value.encode("utf-8", "surrogatepass")
            written.append(b"X" + len(data).to_bytes(4, "little") + data)
        elif isinstance(value, _IntList):
            written.append(_GLOBAL + b"(](" + b"".join(map(_number, value.numbers)) + b"etR")
        else:
            written.append(b"(")
            for item in value:
                put(item)
            written.append(b"t")
        index = memo[value] = len(memo)
        written.append(b"q" + bytes([index]) if index < 256 else b"r" + index.to_bytes(4, "little"))

    put(value)
    return pickletools.optimize(b"".join([*written, b"."]))


def _number(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"K" + value.to_bytes(1, "little")
    if 0 <= value < 1 << 16:
        return b"M" + value.to_bytes(2, "little")
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + value.to_bytes(4, "little", signed=True)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data
