"""Constants: how a value is written in source, and whether it is still what was written."""

from __future__ import annotations

import ast
import collections
import dataclasses
import functools
import math
import struct
import sys
import types
from typing import Any

from wardian.environment.modules import is_instance

__all__ = [
    "CONTAINERS",
    "UNKNOWN",
    "is_as_written",
    "is_cheap",
    "is_held_elsewhere",
    "is_made_by_python",
    "literal_of",
    "value_written",
]

UNKNOWN = object()
"""Stands for the value of an expression that is no literal."""

CONTAINERS = (dict, list, set, bytearray, collections.deque)
"""Types of values that programs fill and share."""

_DEEPEST = 16
"""Levels of tuples that are written; the parser of Python gives up at 200, and other tools before."""

_LONGEST = 1 << 16
"""Characters of a constant that are written. Longer ones, tables and files, are no text for people."""

_DIGITS = 640
"""Digits of a number that every Python reads: the least that `sys.set_int_max_str_digits` takes."""


def value_written(expression: ast.expr) -> Any:
    """Return the value of an expression that is a literal, `UNKNOWN` of another."""
    try:
        return ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return UNKNOWN


def is_as_written(written: Any, value: Any) -> bool:
    """Tell whether *value* is still what was written."""
    if type(written) is not type(value):
        return False
    if is_instance(value, CONTAINERS) and len(value) != len(written):
        return False
    try:
        return repr(written) == repr(value)
    except Exception:  # noqa: BLE001  of what was put into it
        return False


def is_held_elsewhere(value: Any, known: int) -> bool:
    """Tell whether more refers to a container than what is known to.

    Args:
        value: Any value.
        known: How many references the caller knows of.
    """
    # Those of this function and of `getrefcount` are two more.
    return is_instance(value, CONTAINERS) and sys.getrefcount(value) > known + 2


def is_made_by_python(value: Any) -> bool:
    """Tell whether a value is part of how a class works, such as a property."""
    described = hasattr(type(value), "__get__") or hasattr(type(value), "__set_name__")
    return described or is_instance(value, functools.partial | dataclasses.Field)


def is_cheap(value: Any) -> bool:
    """Tell whether a value, which annotations may name, is imported or defined without a cost."""
    return is_instance(value, type | types.ModuleType) or type(value).__module__ in ("typing", "types")


def literal_of(value: Any) -> str | None:
    """Return the source of an immutable value of Python's own types, or None if it is another.

    None also for one that its source does not give again, bit for bit: it travels by value.
    """
    text = _spelled(value, 0)
    return text if text is not None and (_is_short(value) or _reads_back(text, value)) else None


def _spelled(value: Any, depth: int) -> str | None:
    """Return how a constant is written; None if it is none, or too long or deep to be read."""
    kind = type(value)
    if kind is int:
        # A digit is more than three bits; https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        return repr(value) if value.bit_length() <= 3 * _DIGITS else None
    if kind in (str, bytes):
        return repr(value) if len(value) <= _LONGEST else None
    if value is ...:
        return "..."
    if value is None or kind is bool:
        return repr(value)
    if kind in (float, complex):
        finite = all(map(math.isfinite, (value.real, value.imag)))
        # `-0+1j` is a sum, which loses the sign of its zero.
        plain = finite and (kind is float or _reads_back(repr(value), value))
        return repr(value) if plain else f"{kind.__name__}({str(value)!r})"
    if kind not in (tuple, frozenset) or depth == _DEEPEST or len(value) > _LONGEST:
        return None
    items = [_spelled(item, depth + 1) for item in value]
    known = [item for item in items if item is not None]
    if len(known) < len(items) or sum(map(len, known)) > _LONGEST:
        return None
    if kind is tuple:
        return f"({', '.join(known)}{',' if len(known) == 1 else ''})"
    return f"frozenset({{{', '.join(sorted(known))}}})" if known else "frozenset()"


def _is_short(value: Any) -> bool:
    """Tell whether nothing can be wrong with the source of a constant: most of them are names and sizes."""
    return value is None or value is ... or type(value) in (bool, int, str, bytes)


def _reads_back(text: str, value: Any) -> bool:
    """Tell whether the source of a constant gives it again, with type and bits."""
    try:
        read = eval(text, {"__builtins__": {}, "float": float, "complex": complex, "frozenset": frozenset})  # noqa: S307  text of `_spelled`
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    same: bool = _bits(read) == _bits(value)
    return same


def _bits(value: Any) -> Any:
    """Return what tells a constant from others: `0.0` from `-0.0`, `1` from `True`, one nan from another."""
    if type(value) in (float, complex):
        return type(value).__name__, struct.pack("<dd", value.real, value.imag)
    if type(value) is tuple:
        return "tuple", tuple(map(_bits, value))
    if type(value) is frozenset:
        return "frozenset", frozenset(map(_bits, value))
    return type(value).__name__, value
