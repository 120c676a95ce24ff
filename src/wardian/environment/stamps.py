"""Stamps of files: what tells whether one has changed since it was read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType

from wardian.environment.modules import known_attribute

__all__ = ["Stamps", "any_changed", "imported_files", "stamps_of"]

Stamps = Mapping[str, "tuple[int, int, int] | None"]
"""The time, size and inode of each file; None for one that is not there."""


def stamps_of(files: Iterable[str]) -> Stamps:
    """Return the stamps that files have now."""
    return {file: _stamp(file) for file in files}


def any_changed(stamps: Stamps) -> bool:
    """Tell whether one of the files has another stamp now."""
    return any(_stamp(file) != stamp for file, stamp in stamps.items())


def imported_files() -> set[str]:
    """Return the files that the modules of this process are from, without running a deferred one."""
    modules: list[ModuleType] = list(sys.modules.values())
    origins = (getattr(known_attribute(module, "__spec__"), "origin", None) for module in modules)
    return {origin for origin in origins if isinstance(origin, str)}


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
