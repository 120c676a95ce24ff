"""The globals that a pickle names, read without unpickling it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickletools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wardian.domain.names import RecordName
from wardian.domain.record_names import storage_record

__all__ = ["identity", "named_globals", "named_storages", "read_globals"]

_STRINGS = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "SHORT_BINSTRING", "BINSTRING"}
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_GLOBALS = frozenset({"GLOBAL", "INST"})
_SILENT = frozenset({"PROTO", "FRAME"})


_OPCODES = {ord(opcode.code): (opcode.name, opcode.arg) for opcode in pickletools.opcodes}


def _opcodes(data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the name and the argument of each opcode, as `pickletools.genops`, in half of the time.

    Raises:
        ValueError: if the pickle is damaged.
    """
    stream = io.BytesIO(data)
    place, end = 0, len(data)
    while place < end:
        known = _OPCODES.get(data[place])
        if known is None:
            raise ValueError(f"at {place} is no opcode")
        name, argument = known
        place += 1
        if argument is None:
            yield name, None
            if name == "STOP":
                return
        else:
            stream.seek(place)
            yield name, argument.reader(stream)
            place = stream.tell()
    raise ValueError("it has no end")


def named_storages(data: bytes) -> tuple[RecordName, ...]:
    r"""Return the records of all storages that a pickle can name, in its order, each once.

    A text of digits that is no number of a storage counts, too.

    Args:
        data: A pickle of any protocol. What is damaged or follows is left out.

    >>> named_storages(b"\x80\x04\x8c\x013.")
    ('.data/3.storage',)
    """
    found: dict[RecordName, None] = {}
    with contextlib.suppress(ValueError):  # a damaged pickle
        for name, argument in _opcodes(data):
            if name in _STRINGS and isinstance(argument, str) and _NUMBER.fullmatch(argument):
                found[storage_record(int(argument))] = None
    return tuple(found)


def identity(data: bytes, digests: Mapping[str, str]) -> str:
    """Return a digest that two pickles share if they hold the same, wherever their storages are kept.

    Args:
        data: A pickle of any protocol. What is damaged or follows is left out.
        digests: Of the records of storages, by their names.
    """
    found = hashlib.sha256()
    with contextlib.suppress(ValueError):  # a damaged pickle
        for name, argument in _opcodes(data):
            if name in _SILENT:
                continue
            held = argument
            if name in _STRINGS and isinstance(argument, str) and _NUMBER.fullmatch(argument):
                held = digests.get(storage_record(int(argument)), argument)
            found.update(f"{name} {held!r}\n".encode())
    return found.hexdigest()


def named_globals(data: bytes) -> tuple[tuple[str, str], ...]:
    r"""Return the globals that a pickle names, in its order, each once.

    Args:
        data: A pickle of any protocol. What is damaged or follows is left out.

    Returns:
        Module and qualified name. Where a pickle computes a name, which no pickler does, both are "?".

    >>> named_globals(b"cbuiltins\nlen\n.")
    (('builtins', 'len'),)
    """
    return read_globals(data)[0]


def read_globals(data: bytes) -> tuple[tuple[tuple[str, str], ...], bool]:
    r"""Return the globals that a pickle names, and whether it could be read to its end.

    Args:
        data: As for `named_globals`.

    >>> read_globals(b"cbuiltins\nlen\n.")
    ((('builtins', 'len'),), True)
    """
    found: dict[tuple[str, str], None] = {}
    memo: dict[int, str | None] = {}
    before: str | None = None
    last: str | None = None  # what was pushed, None if it is no string
    try:
        for name, argument in _opcodes(data):
            if name == "MEMOIZE" or name in _PUTS:
                memo[len(memo) if argument is None else int(argument)] = last
                continue
            if name in _SILENT:
                continue
            pushed = None
            if name in _STRINGS:
                pushed = str(argument)
            elif name in _GETS:
                pushed = memo.get(int(argument))
            elif name in _GLOBALS:
                module, _, qualname = str(argument).partition(" ")
                found[module, qualname] = None
            elif name == "STACK_GLOBAL":
                found["?" if before is None else before, "?" if last is None else last] = None
            before, last = last, pushed
    except (ValueError, IndexError, KeyError):  # a damaged pickle
        return tuple(found), False
    return tuple(found), True
