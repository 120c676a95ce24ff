"""Entries that packed code has left in tables of the process when its case is closed.

A class in such a table keeps its module, and with it all that the module knows, for ever. What nobody can
need any more is taken out. An object that was loaded may live on and need an entry: so entries are taken
out, the garbage is collected, and where what an entry was for is still there it is put back.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import threading
import types
import typing
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from wardian.domain.live_names import LIVE_PREFIX
from wardian.environment.modules import variables_of
from wardian.loading.closing.tables import OPERATORS, TABLES, Table, forget_hooks
from wardian.loading.registering.lifetimes import libraries, modules_of

__all__ = ["Life", "take_out_leftovers", "watch_modules"]

_MARK = "__wardian_leftovers__"
_LIFE = "__wardian_life__"
_left: dict[str, Callable[[], bool]] = {}
"""Mounts that were closed and may have entries, each with a function that tells whether it is in use."""
_lives: dict[str, list[weakref.ref[Life]]] = {}
"""For each closed mount, one weak marker per opening; alive while any of its modules is."""
_AT_ONCE = 8
"""While loaded objects are alive, every eighth closing sweeps; a sweep costs a garbage collection (0.1 s)."""
_put_off = 0
_DEPTH = 3
"""Values within values that are looked through."""


class Life:
    """Is there as long as the globals of any module of a mount that was closed, which hold it."""


def watch_modules(mount: str, modules: Iterable[types.ModuleType]) -> None:
    """Watch how long the modules of a mount that is being closed live.

    Args:
        mount: Its full name.
        modules: All its modules.
    """
    life = Life()
    for module in modules:
        variables_of(module)[_LIFE] = life
    _lives[mount] = [*_living(mount), weakref.ref(life)]


def _living(mount: str) -> list[weakref.ref[Life]]:
    return [reference for reference in _lives.get(mount, ()) if reference() is not None]


class _Entry:
    """An entry that was taken out; what it was for holds it."""

    def __init__(self, table: Table, handle: object, value: object) -> None:
        self.table, self.handle, self.value = table, handle, value


def take_out_leftovers(
    mount: str, open_mounts: Collection[str], in_use: Callable[[], bool], *, has_run: bool = True
) -> None:
    """Take out of the tables what nothing that lives on can need.

    Another thread could find the tables without what it needs for a moment. So while there are other threads,
    nothing is taken out of which a loaded object is in use; a later call does it.

    Args:
        mount: Full name of a mount that was closed, whose modules are gone from `sys.modules`.
        open_mounts: Full names of the open mounts.
        in_use: Whether an object that was loaded is still there. It must not hold the mount.
        has_run: Whether code of the mount has run; what has not has left nothing.
    """
    global _put_off  # noqa: PLW0603  the tables are global, too
    if has_run:
        _left[mount] = in_use
    for name in open_mounts:
        _left.pop(name, None)
    for forget in getattr(typing, "_cleanups", ()):  # `Union[...]` of packed classes, 128 of each kind
        forget()
    OPERATORS.hold_libraries(tuple(f"{name}." for name in _left))
    alone = threading.active_count() == 1
    looked_at = [name for name, is_used in list(_left.items()) if alone or not is_used()]
    prefixes = tuple(f"{name}." for name in looked_at)
    if not prefixes or not any(True for _ in _find(prefixes)):
        _forget(looked_at, open_mounts)
        return
    if alone and in_use():
        _put_off += 1
        if _put_off < _AT_ONCE:
            return
    _put_off = 0
    taken = _take_out(prefixes)
    gc.collect()
    kept = [entry for reference in taken if (entry := reference()) is not None]
    for entry in kept:
        entry.table.put_back(entry.handle, entry.value)
    for entry in kept:
        for place in _places(entry.value, prefixes):
            if isinstance(place, dict):
                place.pop(_MARK, None)
            elif _MARK in type.__getattribute__(place, "__dict__"):
                type.__delattr__(place, _MARK)
    if not kept:
        _forget(looked_at, open_mounts)


def _forget(names: Iterable[str], open_mounts: Collection[str]) -> None:
    for name in names:
        _left.pop(name, None)  # the collection above may have closed another case, which did the same
        _lives.pop(name, None)
    forget_hooks({*open_mounts, *_left})


def _take_out(prefixes: tuple[str, ...]) -> list[weakref.ref[_Entry]]:
    """Take out all entries, each held by nothing but what it is for."""
    references = []
    for table, handle, value in list(_find(prefixes)):
        entry = _Entry(table, handle, value)
        for place in _places(value, prefixes):
            names = place if isinstance(place, dict) else type.__getattribute__(place, "__dict__")
            marks = [*names.get(_MARK, ()), entry]
            if isinstance(place, dict):
                place[_MARK] = marks
            else:
                type.__setattr__(place, _MARK, marks)
        table.take_out(handle, value)
        references.append(weakref.ref(entry))
    return references


def _find(prefixes: tuple[str, ...]) -> Iterator[tuple[Table, object, object]]:
    for table in TABLES:
        for handle, value in table.entries():
            if any(True for _ in _places(value, prefixes)):
                yield table, handle, value
            elif isinstance(value, tuple) and isinstance(value[-1], types.FunctionType):
                _note_of_torch_alone(value[-1])


_of_torch_alone: dict[int, weakref.ref[types.FunctionType]] = {}
"""Functions, by id, that PyTorch's own modules made and that hold nothing of any case. Its tables of
operators have two thousand, wrapped by its decorators, which each closing would take apart."""


def _is_of_torch_alone(function: types.FunctionType) -> bool:
    known = _of_torch_alone.get(id(function))
    return known is not None and known() is function


def _note_of_torch_alone(function: types.FunctionType) -> None:
    if _is_of_torch_alone(function) or not str(function.__globals__.get("__name__")).startswith("torch."):
        return
    # What it wraps may be of a case, of this one or another.
    if not any(True for _ in _places(function, (LIVE_PREFIX,))):
        _of_torch_alone[id(function)] = weakref.ref(function)


def _places(value: object, prefixes: tuple[str, ...], depth: int = 0) -> Iterator[dict[str, Any] | type]:
    """Yield the packed classes and the globals of packed functions in an entry of a table."""
    if isinstance(value, type):
        if str(value.__module__).startswith(prefixes):
            yield value
    elif isinstance(value, dict):
        name = value.get("__name__")
        if isinstance(name, str):
            if name.startswith(prefixes):
                yield value
        elif depth < _DEPTH:
            for part in list(value.values()):
                yield from _places(part, prefixes, depth + 1)
    elif isinstance(value, types.FunctionType):
        if _is_of_torch_alone(value):
            return
        own = list(_places(value.__globals__, prefixes))
        yield from own
        if not own and depth < _DEPTH:  # a decorator has made it
            for cell in value.__closure__ or ():
                with contextlib.suppress(ValueError):  # it is empty
                    yield from _places(cell.cell_contents, prefixes, depth + 1)
    elif isinstance(value, logging.Logger) and value.name.startswith(prefixes):
        yield vars(value)
        for life in _lives.get(".".join(value.name.split(".")[:3]), ()):
            if (found := life()) is not None:
                yield vars(found)
    elif type(value).__module__ == "torch.library" and value in libraries:
        for scope in modules_of(value):
            if scope["__name__"].startswith(prefixes):
                yield scope
    elif isinstance(value, types.MethodType):
        yield from _places((value.__func__, value.__self__), prefixes, depth)
    elif isinstance(value, functools.partial):
        yield from _places((value.func, *value.args), prefixes, depth)
    elif depth < _DEPTH:
        yield from _places(type(value), prefixes, depth)
        for part in _parts(value):
            yield from _places(part, prefixes, depth + 1)


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, tuple | list):
        return value
    if isinstance(value, logging.Handler):
        return value.formatter, *value.filters
    return [getattr(value, name, None) for name in getattr(type(value), "__dataclass_fields__", ())]
