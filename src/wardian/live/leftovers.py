"""What packed code has put into tables of the process, when its case is closed.

A class in such a table keeps its module, and with it all that the module knows, for ever. What nobody can
need any more is taken out. An object that was loaded may live on and need an entry: so entries are taken
out, the garbage is collected, and where what an entry was for is still there it is put back.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from typing import Any

__all__ = ["take_out_leftovers"]

_TABLES = (
    ("copyreg", "dispatch_table"),
    ("torch.distributions.kl", "_KL_MEMOIZE"),
    ("torch.distributions.kl", "_KL_REGISTRY"),
    ("torch.fx._symbolic_trace", "_wrapped_fns_to_patch"),
    ("torch.jit._state", "_name_to_pyclass"),
    ("torch.jit._state", "_script_classes"),
    ("torch.utils._pytree", "SERIALIZED_TYPE_TO_PYTHON_TYPE"),
    ("torch.utils._pytree", "SUPPORTED_NODES"),
    ("torch.utils._pytree", "SUPPORTED_SERIALIZED_TYPES"),
    ("torch.utils.data.datapipes.datapipe", "IterDataPipe.functions"),
    ("torch.utils.data.datapipes.datapipe", "MapDataPipe.functions"),
)
"""Module, and the path of a dictionary in it."""

_MARK = "__wardian_leftovers__"
_left: set[str] = set()
"""Roots that were closed and may have entries."""
_AT_ONCE = 8
"""Closings with an object in use after which one looks nevertheless: to collect takes a tenth of a second."""
_put_off = 0


class _Entry:
    """An entry that was taken out; what it was for holds it."""

    def __init__(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self.table, self.key, self.value = table, key, value


def take_out_leftovers(root: str, open_roots: set[str], *, in_use: bool) -> None:
    """Take out of the tables what nothing that lives on can need.

    Nothing is done while other threads run, which would find the tables without what they need for a moment;
    a later call does it.

    Args:
        root: Full name of a root that was closed, whose modules are gone from `sys.modules`.
        open_roots: Full names of the open roots.
        in_use: Whether an object that was loaded is still there.
    """
    global _put_off  # noqa: PLW0603  the tables are global, too
    _left.add(root)
    _left.difference_update(open_roots)
    prefixes = tuple(f"{name}." for name in _left)
    if not any(True for _ in _find(prefixes)):
        _left.clear()
        return
    _put_off += in_use
    if threading.active_count() > 1 or (in_use and _put_off < _AT_ONCE):
        return
    _put_off = 0
    taken = _take_out(prefixes)
    gc.collect()
    kept = [entry for reference in taken if (entry := reference()) is not None]
    for entry in kept:
        entry.table.setdefault(entry.key, entry.value)
    for entry in kept:
        for place in _places((entry.key, entry.value), prefixes):
            if isinstance(place, dict):
                place.pop(_MARK, None)
            elif _MARK in type.__getattribute__(place, "__dict__"):
                type.__delattr__(place, _MARK)
    if not kept:
        _left.clear()


def _take_out(prefixes: tuple[str, ...]) -> list[weakref.ref[_Entry]]:
    """Take out all entries, each held by nothing but what it is for."""
    references = []
    for table, key, value in _find(prefixes):
        entry = _Entry(table, key, value)
        for place in _places((key, value), prefixes):
            names = place if isinstance(place, dict) else type.__getattribute__(place, "__dict__")
            marks = [*names.get(_MARK, ()), entry]
            if isinstance(place, dict):
                place[_MARK] = marks
            else:
                type.__setattr__(place, _MARK, marks)
        del table[key]
        references.append(weakref.ref(entry))
    return references


def _find(prefixes: tuple[str, ...]) -> Iterator[tuple[dict[Any, Any], Any, Any]]:
    for module, path in _TABLES:
        table: Any = sys.modules.get(module)
        for name in path.split("."):
            table = getattr(table, name, None)
        if isinstance(table, dict):
            for key, value in list(table.items()):
                if any(True for _ in _places((key, value), prefixes)):
                    yield table, key, value


def _places(value: Any, prefixes: tuple[str, ...], depth: int = 0) -> Iterator[dict[str, Any] | type]:
    """Yield the packed classes, and the globals of packed functions, in an entry of a table."""
    if isinstance(value, type):
        if str(value.__module__).startswith(prefixes):
            yield value
    elif isinstance(value, types.FunctionType):
        yield from _places(value.__globals__, prefixes, depth)
    elif isinstance(value, dict):
        name = value.get("__name__")
        if isinstance(name, str) and name.startswith(prefixes):
            yield value
    elif isinstance(value, functools.partial):
        yield from _places((value.func, *value.args), prefixes, depth)
    elif depth < 3:
        fields = getattr(type(value), "__dataclass_fields__", ())
        parts = value if isinstance(value, tuple) else [getattr(value, name, None) for name in fields]
        for part in parts:
            yield from _places(part, prefixes, depth + 1)
