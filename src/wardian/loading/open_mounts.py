"""The mounts of this process, by name: how one comes to be, is found, and goes."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import linecache
import os
import sys
import types
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.live_names import LIVE_PREFIX, MountName, full_name, mount_of
from wardian.domain.manifest import Manifest
from wardian.environment.modules import is_module, variables_of
from wardian.errors import CaseError
from wardian.forks import new_reentrant_lock
from wardian.loading import loggers
from wardian.loading.announcements import Announced, announce, announced, withdraw
from wardian.loading.closing.closed import mark_closed
from wardian.loading.closing.leftovers import take_out_leftovers, watch_modules
from wardian.loading.importing.finders import FolderFinder
from wardian.loading.importing.mount import Mount
from wardian.loading.unused import find_holder

__all__ = [
    "acquire",
    "acquire_private",
    "closed_path",
    "find_folder",
    "find_open",
    "get_mount",
    "is_named_by",
    "is_same_file",
    "release",
    "tell",
]

_mounts: dict[str, Mount] = {}
_mounts_lock = new_reentrant_lock()
_used: dict[str, tuple[str, str]] = {}
"""File and identity of the mounts of this process, closed ones too: objects outlive a mount, and must not be
taken for another's."""
_private: set[str] = set()
"""Names of mounts that somebody has for himself."""
_told: set[str] = set()
"""Names of mounts that child processes can find."""
_alone: dict[str, tuple[weakref.ref[Any], int] | None] = {}
"""Names of mounts that are closed once nothing needs them, each with what was last found to need it, and how
many references that had."""
_LENGTHS = (16, 32, 64)
"""Digits of a digest in names if another archive has the name with eight in this process."""


def get_mount(name: str) -> Mount | None:
    """Return the open mount *name*, or None."""
    return _mounts.get(name)


def find_open(name: str, outline: str | None = None) -> Mount | None:
    """Return the open mount *name*, or one of the same case that was opened from a file of another name.

    Args:
        name: Its name, without `wardian.live.`.
        outline: That of the archive, where it is known; else there must be one that fits and no more.
    """
    found = _mounts.get(name)
    if found is not None:
        return found if outline in (None, found.archive.outline) else None
    fitting = {
        mount.archive.outline: mount
        for short, mount in list(_mounts.items())
        # With the installed library in place of the packed one it is not the same.
        if short not in _private
        and MountName.parse(short).is_shared == MountName.parse(name).is_shared
        and outline in (None, mount.archive.outline)
        and is_named_by(name, mount.archive)
    }
    return next(iter(fitting.values())) if len(fitting) == 1 else None


def is_named_by(name: str, archive: ArchiveReader | FolderReader) -> bool:
    """Tell whether *name* can be that of the mount of an archive, which others may share."""
    digits = MountName.parse(name).digest
    # The first name is made without reading all of the file.
    return archive.outline[:8] == digits or (len(digits) > 8 and archive.fingerprint.startswith(digits))


def closed_path(name: str) -> str | None:
    """Return the file of the mount *name* if it was open in this process and is closed, else None."""
    return None if name in _mounts or name not in _used else _used[name][0]


def find_folder(path: str) -> FolderFinder:
    """Return the finder of a folder of an open case: a hook for `sys.path_hooks`.

    Raises:
        ImportError: if it is another folder, as the import system wants of a hook.
    """
    for mount in list(_mounts.values()):
        folder = _folder_of(mount)
        if folder is not None and path.startswith(f"{folder}{os.sep}"):
            return FolderFinder(mount, os.path.relpath(path, folder).replace(os.sep, "."), get_mount)
    raise ImportError(f"{path} is not a folder of an open case")


def _folder_of(mount: Mount) -> Path | None:
    """Return the folder of an open case if it is known.

    Where it is not, nobody has a path in it; and to find it out may look for modules, and place libraries.
    """
    folder: Path | None = vars(mount.files).get("folder")
    return folder


def acquire(
    stem: str,
    archive: ArchiveReader | FolderReader,
    manifest: Manifest,
    name: str | None = None,
    *,
    is_told: bool = True,
    **options: Any,
) -> Mount:
    """Return the mount of a case, made at the first use; each call is undone by `release`.

    What is open already is recognised by its whole digest. The name has the first eight digits, and more if
    another archive has, or had, that name in this process or has it in one above.

    Args:
        stem: What the name of the mount begins with.
        archive: The open archive.
        manifest: Its manifest.
        name: The name the mount has in a parent process.
        is_told: Let child processes find it, now; else `tell` does that.
        **options: As for `Mount`.

    Raises:
        CaseError: if another archive has *name* here.
    """
    with _mounts_lock:
        wanted = MountName.of_file(stem, archive.outline[:8])
        short = str(wanted)
        for name_of_other, mount in _mounts.items():
            if name_of_other in _private or mount.archive.outline != archive.outline:
                continue
            other = MountName.parse(name_of_other)
            alike = other.stem == wanted.stem or (
                other.is_shared == wanted.is_shared and is_same_file(mount.archive, archive)
            )
            if alike and _same_content(mount.archive, archive):
                return _use(mount)
        if name is not None:
            if not _is_free(name, archive):
                raise CaseError(
                    f"another case than {archive.label} is {full_name(name)} in this process", path=None
                )
            short = name
        elif not _is_free(short, archive):
            longer = (str(MountName.of_file(stem, archive.fingerprint[:length])) for length in _LENGTHS)
            short = next((name for name in longer if _is_free(name, archive)), short)
        return _register(Mount(full_name(short), archive, manifest, **options), is_told=is_told)


def _is_free(name: str, archive: ArchiveReader | FolderReader) -> bool:
    """Tell whether nothing else has, or had, a name, and no process above has it."""
    if name in _used and _used[name][1] != _identity(archive):
        return False
    told = announced(name)
    return name not in _mounts and (told is None or told.outline == archive.outline)


def _identity(archive: ArchiveReader | FolderReader) -> str:
    """Return what tells an archive from all others, without reading all of it where that can be."""
    if isinstance(archive, ArchiveReader) and archive.digest is None and archive.stamp() is not None:
        return f"{archive.outline}:{archive.stamp()}"
    return archive.fingerprint


def is_same_file(one: ArchiveReader | FolderReader, other: ArchiveReader | FolderReader) -> bool:
    """Tell whether two archives are one file, or one folder, by their stamps and paths."""
    if not isinstance(one, ArchiveReader) or not isinstance(other, ArchiveReader):
        return one.path == other.path
    return one.stamp() is not None and one.stamp() == other.stamp()


def _same_content(one: ArchiveReader | FolderReader, other: ArchiveReader | FolderReader) -> bool:
    """Tell whether two archives of one outline are the same."""
    return one.kind == "case" or is_same_file(one, other) or one.fingerprint == other.fingerprint


def acquire_private(
    stem: str,
    archive: ArchiveReader | FolderReader,
    manifest: Manifest,
    name: str | None = None,
    *,
    is_alone: bool = False,
    **options: Any,
) -> Mount:
    """Return a mount that nobody else has, even for the same file; undone by `release`.

    Args:
        stem: What the name of the mount begins with.
        archive: The open archive.
        manifest: Its manifest.
        name: The name the mount has in a parent process; None makes one, the same in every process
            that opens the same files in the same order.
        is_alone: Close it by itself once nothing holds it, its guests, or what was imported from it.
        **options: As for `Mount`.
    """
    with _mounts_lock:
        number = 0
        short = name or ""
        while not short or (name is None and short in _used):
            number += 1
            short = _private_name(stem, archive.outline, number)
        _private.add(short)
        mount = _register(Mount(full_name(short), archive, manifest, **options))
        if is_alone:
            _alone[short] = None
            if _close_unused not in gc.callbacks:
                gc.callbacks.append(_close_unused)
        return mount


def _close_unused(_: str, facts: Mapping[str, int]) -> None:
    """Close what nothing needs any more: a callback of the collector, before and after a full run.

    Before, so that it frees what is closed; and after, because garbage may hold an object.
    """
    # In the middle of another change of the tables, in this thread or another, it waits for the next time.
    if facts["generation"] < 2 or _mounts_lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
        return
    if not _mounts_lock.acquire(blocking=False):
        return
    try:
        for short in list(_alone):
            if not _is_needed(short):
                release(_mounts[short])
    finally:
        _mounts_lock.release()


def _is_needed(short: str) -> bool:
    if _is_as_before(short):
        return True
    tables = (sys.modules, _mounts, variables_of(sys.modules.get("wardian.live")), sys.path_importer_cache)
    # No variable here may hold what is looked for.
    holder = find_holder(_objects_of(short), f"{full_name(short)}.", (*tables, linecache.cache))
    _alone[short] = None
    with contextlib.suppress(TypeError):  # it has no weak references
        _alone[short] = None if holder is None else (weakref.ref(holder), sys.getrefcount(holder))
    return holder is not None


def _is_as_before(short: str) -> bool:
    """Tell whether what needed a mount the last time has as many references as it had."""
    known = _alone[short]
    holder = None if known is None else known[0]()
    return holder is not None and known is not None and sys.getrefcount(holder) == known[1]


def _objects_of(short: str) -> list[Any]:
    """Return what of a mount is in tables of the process."""
    mount = _mounts[short]
    folder = _folder_of(mount)
    paths = f"{folder}{os.sep}" if folder is not None else None
    return [
        mount,
        *mount.guests.values(),
        *(m for name, m in sys.modules.copy().items() if f"{name}.".startswith(f"{mount.name}.")),
        *(f for path, f in list(sys.path_importer_cache.items()) if paths and path.startswith(paths)),
        *(entry for path, entry in list(linecache.cache.items()) if paths and path.startswith(paths)),
    ]


def _private_name(stem: str, fingerprint: str, number: int) -> str:
    return str(MountName.of_file(stem, hashlib.sha256(f"{fingerprint}:{number}".encode()).hexdigest()[:8]))


def _register(mount: Mount, *, is_told: bool = True) -> Mount:
    short = mount_of(mount.name)
    # The first import of a packed module would do it. But another thread that imports one then would find
    # the package half-made, without its finder: CPython does not wait for a parent that is in `sys.modules`.
    importlib.import_module(LIVE_PREFIX.rstrip("."))
    if find_folder not in sys.path_hooks:
        sys.path_hooks.insert(0, find_folder)
        loggers.install()
    _mounts[short] = mount
    _used[short] = (mount.archive.label, _identity(mount.archive))
    if is_told:
        tell(mount)
    return _use(mount)


def tell(mount: Mount) -> None:
    """Let child processes find the file of a mount, if it is one."""
    short = mount_of(mount.name)
    if mount.archive.path is not None and short in _mounts and short not in _told:
        _told.add(short)
        stamp = mount.archive.stamp() if isinstance(mount.archive, ArchiveReader) else None
        announce(
            short, Announced(mount.archive.path, mount.archive.outline, stamp or "", mount.archive.held())
        )


def _is_of(module: types.ModuleType, mount: Mount) -> bool:
    """Tell whether a module that has a name below *mount* is no module of the environment."""
    name = variables_of(module).get("__name__")
    return isinstance(name, str) and name.startswith(f"{mount.name}.")


def _use(mount: Mount) -> Mount:
    mount.users += 1
    return mount


def release(mount: Mount) -> None:
    """Undo one `acquire`; the last one removes every module of the mount."""
    with _mounts_lock:
        mount.users -= 1
        if mount.users > 0:
            return
        short = mount_of(mount.name)
        _mounts.pop(short, None)
        _private.discard(short)
        _alone.pop(short, None)
        if not _alone and _close_unused in gc.callbacks:
            gc.callbacks.remove(_close_unused)
        packages = variables_of(sys.modules.get("wardian.live"))
        modules: list[Any] = []
        for name in (mount.name, *mount.aliases):
            found = [n for n in sys.modules if n == name or n.startswith(name + ".")]
            modules += [sys.modules.pop(module, None) for module in found]
            packages.pop(mount_of(name), None)
        own = [m for m in modules if is_module(m) and _is_of(m, mount)]
        mark_closed(own, str(mount.archive.path or "<memory>"), shared=MountName.parse(short).is_shared)
        watch_modules(mount.name, own)
        own.clear()
        modules.clear()
        _told.discard(short)
        withdraw(short)
        folder = _folder_of(mount)
        if folder is not None:
            for cache in (sys.path_importer_cache, linecache.cache):
                for path in [p for p in list(cache) if p.startswith(f"{folder}{os.sep}")]:
                    cache.pop(path, None)
            for other in _mounts.values():
                if _folder_of(other) == folder:  # of the same file: its sources go on being shown
                    other.show_sources()
        if not _mounts:
            sys.path_hooks.remove(find_folder)
            loggers.uninstall()
        mount.operators.withdraw()
        mount.files.close()
        mount.archive.close()
        loaded = mount.loaded
        take_out_leftovers(
            mount.name,
            {other.name for other in _mounts.values()},
            lambda: any(True for _ in loaded.values()),
            has_run=mount.has_run,
        )
