"""Stamps of files: what tells whether one has changed since it was read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec, all_suffixes
from types import ModuleType

from wardian.environment.modules import known_attribute

__all__ = ["Stamps", "any_changed", "imported_places", "stamps_of"]

_Stamp = tuple[int, ...] | frozenset[str] | None

Stamps = Mapping[str, _Stamp]
"""The times, size and inode of each file, or the names in a folder; None for what is not there."""


def stamps_of(files: Iterable[str]) -> Stamps:
    """Return the stamps that files have now, and folders given with a separator at the end."""
    return {file: _stamp(file) for file in files}


def any_changed(stamps: Stamps) -> bool:
    """Tell whether one of the files has another stamp now."""
    return any(_stamp(file) != stamp for file, stamp in stamps.items())


def imported_places() -> set[str]:
    """Return what the modules of this process are from, without running a deferred one.

    Their files; and the folders of packages, with a separator at the end, which stand for the names of the
    modules that could be found there: a new one may come before what was imported.
    """
    modules: list[ModuleType] = list(sys.modules.values())
    specs = [known_attribute(module, "__spec__") for module in modules]
    specs = [spec for spec in specs if isinstance(spec, ModuleSpec)]
    folders = (place for spec in specs for place in list(spec.submodule_search_locations or ()))
    return {
        *(spec.origin for spec in specs if isinstance(spec.origin, str)),
        *(os.path.join(folder, "") for folder in folders if isinstance(folder, str)),
    }


def _stamp(file: str) -> _Stamp:
    try:
        if file.endswith(os.sep):
            return frozenset(name for name in os.listdir(file) if _may_be_module(name))
        found = os.stat(file)
    except OSError:
        return None
    # The second time nobody can set: tools that edit a file may give it the first one that it had.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _may_be_module(name: str) -> bool:
    stem, _, suffix = name.partition(".")
    return stem != "__pycache__" and (not suffix or suffix.endswith(_SUFFIXES))


_SUFFIXES = tuple(suffix[1:] for suffix in all_suffixes())
