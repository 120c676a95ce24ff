"""Operator libraries: shared libraries that register operators when they are loaded."""

from __future__ import annotations

import importlib.metadata
import mmap
import os
import platform
import sys
from functools import cache
from pathlib import Path

from wardian.archive.digests import digest_of
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import Library
from wardian.environment.modules import find_spec

__all__ = ["fits", "is_missing", "link_for"]


def fits(library: Library) -> bool:
    """Tell whether the packed build of *library* can be loaded here.

    It must be for this platform, and for the same minor release of torch, which is how far PyTorch keeps
    its C++ interface.
    """
    if (library.system, library.machine) != (platform.system(), platform.machine()):
        return False
    here = _torch_release()
    return here is not None and here == _minor_release(library.torch)


@cache
def _torch_release() -> tuple[int, ...] | None:
    # Of one process it stays the same, and the metadata of torch are long.
    try:
        return _minor_release(importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return None


def _minor_release(version: str) -> tuple[int, ...] | None:
    from packaging.version import InvalidVersion, Version  # few cases have such libraries

    try:
        return Version(version).release[:2]
    except InvalidVersion:
        return None


def is_missing(library: Library) -> bool:
    """Tell whether neither the packed build of *library* nor one of the environment can be loaded here."""
    return not fits(library) and _loaded(library) is None and _installed(library) is None


def link_for(library: Library, packed: RecordDigest) -> str | None:
    """Return what takes the place of the library's file on disk.

    Loading a library whose operators are registered already ends the process, so where one is loaded, or
    could be by the environment's own copy of the library, the file is a link to that one: the dynamic loader
    knows a file by its inode and does not load it again.

    Args:
        library: What the manifest says of it.
        packed: What it says of the packed build.

    Returns:
        None for the packed build, a path for a link to another build, "" for no file at all.
    """
    loaded = _loaded(library)
    if loaded is not None:
        return loaded
    installed = _installed(library)
    if installed is not None and (not fits(library) or _same(installed, packed)):
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
    spec = find_spec(top)  # of a name from the manifest, which must not be imported to tell
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        candidate = os.path.join(folder, *rest.split("/"))
        if os.path.isfile(candidate):
            return os.path.realpath(candidate)
    return None


def _same(path: str, packed: RecordDigest) -> bool:
    # The digest is that of checked content; to inflate megabytes for it would take most of a load.
    if os.path.getsize(path) != packed.size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return digest_of(content, packed.algorithm) == packed
