"""Operator libraries: shared libraries that register operators when they are loaded."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

from wardian.archive import ArchiveReader
from wardian.manifest import Library

__all__ = ["fits", "is_missing", "link_for"]


def fits(library: Library) -> bool:
    """Tell whether the packed build of *library* can be loaded here.

    It must be for this platform, and for the same minor release of torch, which is how far PyTorch keeps
    its C++ interface.
    """
    if (library.system, library.machine) != (platform.system(), platform.machine()):
        return False
    try:
        mine, its = Version(importlib.metadata.version("torch")), Version(library.torch)
    except (InvalidVersion, importlib.metadata.PackageNotFoundError):
        return False
    return mine.release[:2] == its.release[:2]


def is_missing(library: Library) -> bool:
    """Tell whether neither the packed build of *library* nor one of the environment can be loaded here."""
    return not fits(library) and _loaded(library) is None and _installed(library) is None


def link_for(library: Library, archive: ArchiveReader) -> str | None:
    """Return what takes the place of the library's file on disk.

    Loading a library whose operators are registered already ends the process, so where one is loaded, or
    could be by the environment's own copy of the library, the file is a link to that one: the dynamic loader
    knows a file by its inode and does not load it again.

    Returns:
        None for the packed build, a path for a link to another build, "" for no file at all.
    """
    loaded = _loaded(library)
    if loaded is not None:
        return loaded
    installed = _installed(library)
    if installed is not None and (not fits(library) or _same(installed, library, archive)):
        return installed
    return None if fits(library) else ""


def _loaded(library: Library) -> str | None:
    """Return the file of a build that is loaded already."""
    torch = sys.modules.get("torch")
    for loaded in sorted(map(str, torch.ops.loaded_libraries)) if torch is not None else ():
        # Builds of several libraries are called `_C.so`.
        if Path(loaded).as_posix().endswith(f"/{library.record}") and os.path.exists(loaded):
            return os.path.realpath(loaded)
    return None


def _installed(library: Library) -> str | None:
    """Return the file of the environment's build, if what it belongs to can be imported here."""
    top, _, rest = library.record.partition("/")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        candidate = os.path.join(folder, *rest.split("/"))
        if os.path.isfile(candidate):
            return os.path.realpath(candidate)
    return None


def _same(path: str, library: Library, archive: ArchiveReader) -> bool:
    from wardian.names import RecordName

    record = RecordName(library.record)
    if os.path.getsize(path) != archive.size(record):
        return False
    with open(path, "rb") as file:
        return file.read() == archive.read(record)
