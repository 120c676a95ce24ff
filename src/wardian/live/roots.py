"""The roots that are open in this process, by name: how one comes to be, is found, and goes."""

from __future__ import annotations

import hashlib
import linecache
import os
import re
import sys
import threading
import types
from pathlib import Path
from typing import Any

from wardian.archive import ArchiveReader, FolderReader
from wardian.environment import variables_of
from wardian.errors import CaseError
from wardian.live import loggers
from wardian.live.announcements import Announced, announce, announced, withdraw
from wardian.live.closed import mark_closed
from wardian.live.finder import PREFIX, FolderFinder
from wardian.live.leftovers import plant, take_out_leftovers
from wardian.live.registries import go_on_after_fork
from wardian.live.root import Root
from wardian.live.sharing import SHARED_SUFFIX
from wardian.manifest import Manifest

__all__ = [
    "acquire",
    "acquire_private",
    "closed_path",
    "find_folder",
    "find_open",
    "get_root",
    "is_named_by",
    "is_shared",
    "release",
    "root_name",
]

_roots: dict[str, Root] = {}
_roots_lock = threading.RLock()
_used: dict[str, tuple[str, str]] = {}
"""File and identity of the roots of this process, closed ones too: objects outlive a root, and must not be
taken for another's."""
_private: set[str] = set()
"""Names of roots that somebody has for himself."""
_LENGTHS = (8, 16, 32, 64)
"""Digits of a digest in names: more if another archive has a name with fewer in this process."""


def root_name(stem: str, digest: str, length: int = 8) -> str:
    """Return the name of the root of a case below `wardian.live`.

    >>> root_name("ResNet-18 v2", "3f9a2c1b" + 56 * "0")
    'ResNet_18_v2_3f9a2c1b'
    """
    clean = re.sub(r"\W", "_", stem, flags=re.ASCII).strip("_") or "case"
    return f"{'_' if clean[0].isdigit() else ''}{clean}_{digest[:length]}"


def get_root(name: str) -> Root | None:
    """Return the open root *name*, or None."""
    return _roots.get(name)


def find_open(name: str, outline: str | None = None) -> Root | None:
    """Return the open root *name*, or one of the same case that was opened from a file of another name.

    Args:
        name: Its name, without `wardian.live.`.
        outline: That of the archive, where it is known; else there must be one that fits and no more.
    """
    found = _roots.get(name)
    if found is not None:
        return found if outline in (None, found.archive.outline) else None
    fitting = {
        root.archive.outline: root
        for short, root in list(_roots.items())
        # With the installed library in place of the packed one it is not the same.
        if short not in _private
        and is_shared(short) == is_shared(name)
        and outline in (None, root.archive.outline)
        and is_named_by(name, root.archive)
    }
    return next(iter(fitting.values())) if len(fitting) == 1 else None


def is_named_by(name: str, archive: ArchiveReader | FolderReader) -> bool:
    """Tell whether *name* can be that of the root of an archive, which others may share."""
    digits = name.rpartition("_")[2]
    # The first name is made without reading all of the file.
    return archive.outline[:8] == digits or (len(digits) > 8 and archive.fingerprint.startswith(digits))


def is_shared(name: str) -> bool:
    """Tell whether *name* is that of a root that serves installed modules."""
    return name.rpartition("_")[0].endswith(SHARED_SUFFIX)


def closed_path(name: str) -> str | None:
    """Return the file of the root *name* if it was open in this process and is closed, else None."""
    return None if name in _roots or name not in _used else _used[name][0]


def find_folder(path: str) -> FolderFinder:
    """Return the finder of a folder of an open case: a hook for `sys.path_hooks`.

    Raises:
        ImportError: if it is another folder, as the import system wants of a hook.
    """
    for root in list(_roots.values()):
        folder = _folder_of(root)
        if folder is not None and path.startswith(f"{folder}{os.sep}"):
            return FolderFinder(root, os.path.relpath(path, folder).replace(os.sep, "."), get_root)
    raise ImportError(f"{path} is not a folder of an open case")


def _folder_of(root: Root) -> Path | None:
    """Return the folder of an open case if it is known.

    Where it is not, nobody has a path in it; and to find it out may look for modules, and place libraries.
    """
    folder: Path | None = vars(root.files).get("folder")
    return folder


def acquire(
    stem: str,
    archive: ArchiveReader | FolderReader,
    manifest: Manifest,
    name: str | None = None,
    **options: Any,
) -> Root:
    """Return the root of a case, made at the first use; each call is undone by `release`.

    What is open already is recognised by its whole digest. The name has the first eight digits, and more if
    another archive has, or had, that name in this process or has it in one above.

    Args:
        stem: What the name of the root begins with.
        archive: The open archive.
        manifest: Its manifest.
        name: The name the root has in a parent process.
        **options: As for `Root`.

    Raises:
        CaseError: if another archive has *name* here.
    """
    with _roots_lock:
        short = root_name(stem, archive.outline)
        for other, root in _roots.items():
            if other in _private or root.archive.outline != archive.outline:
                continue
            same_stem = other.rpartition("_")[0] == short.rpartition("_")[0]
            alike = is_shared(other) == is_shared(short) and (same_stem or _same_file(root.archive, archive))
            if alike and _same_content(root.archive, archive):
                return _use(root)
        if name is not None:
            if not _is_free(name, archive):
                raise CaseError(
                    f"another case than {archive.path} is {PREFIX}{name} in this process", path=None
                )
            short = name
        elif not _is_free(short, archive):
            longer = (root_name(stem, archive.fingerprint, length) for length in _LENGTHS[1:])
            short = next((name for name in longer if _is_free(name, archive)), short)
        return _register(Root(PREFIX + short, archive, manifest, **options))


def _is_free(name: str, archive: ArchiveReader | FolderReader) -> bool:
    """Tell whether nothing else has, or had, a name, and no process above has it."""
    if name in _used and _used[name][1] != _identity(archive):
        return False
    told = announced(name)
    return name not in _roots and (told is None or told.outline == archive.outline)


def _identity(archive: ArchiveReader | FolderReader) -> str:
    """Return what tells an archive from all others, without reading all of it where that can be."""
    if isinstance(archive, ArchiveReader) and archive.digest is None and archive.stamp() is not None:
        return f"{archive.outline}:{archive.stamp()}"
    return archive.fingerprint


def _same_file(one: ArchiveReader | FolderReader, other: ArchiveReader | FolderReader) -> bool:
    if not isinstance(one, ArchiveReader) or not isinstance(other, ArchiveReader):
        return one.path == other.path
    return one.stamp() is not None and one.stamp() == other.stamp()


def _same_content(one: ArchiveReader | FolderReader, other: ArchiveReader | FolderReader) -> bool:
    """Tell whether two archives of one outline are the same."""
    return one.kind == "case" or _same_file(one, other) or one.fingerprint == other.fingerprint


def acquire_private(
    stem: str,
    archive: ArchiveReader | FolderReader,
    manifest: Manifest,
    name: str | None = None,
    **options: Any,
) -> Root:
    """Return a root that nobody else has, even for the same file; undone by `release`.

    Args:
        stem: What the name of the root begins with.
        archive: The open archive.
        manifest: Its manifest.
        name: The name the root has in a parent process; None makes one, the same in every process
            that opens the same files in the same order.
        **options: As for `Root`.
    """
    with _roots_lock:
        number = 0
        short = name or ""
        while not short or (name is None and short in _used):
            number += 1
            short = _private_name(stem, archive.outline, number)
        _private.add(short)
        return _register(Root(PREFIX + short, archive, manifest, **options))


def _private_name(stem: str, fingerprint: str, number: int) -> str:
    return root_name(stem, hashlib.sha256(f"{fingerprint}:{number}".encode()).hexdigest())


def _go_on_after_fork() -> None:
    # The threads that hold a lock are not there (CPython's Lib/logging/__init__.py does the same).
    _roots_lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
    for root in list(_roots.values()):
        root.go_on_after_fork()
    go_on_after_fork()


def _register(root: Root) -> Root:
    short = root.name[len(PREFIX) :]
    if not _used and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_go_on_after_fork)
    if find_folder not in sys.path_hooks:
        sys.path_hooks.insert(0, find_folder)
        loggers.install()
    _roots[short] = root
    _used[short] = (str(root.archive.path or "<memory>"), _identity(root.archive))
    if root.archive.path is not None:
        stamp = root.archive.stamp() if isinstance(root.archive, ArchiveReader) else None
        announce(short, Announced(root.archive.path, root.archive.outline, stamp or "", root.archive.held()))
    return _use(root)


def _is_of(module: types.ModuleType, root: Root) -> bool:
    """Tell whether a module that has a name below *root* is no module of the environment."""
    name = variables_of(module).get("__name__")
    return isinstance(name, str) and name.startswith(f"{root.name}.")


def _use(root: Root) -> Root:
    root.users += 1
    return root


def release(root: Root) -> None:
    """Undo one `acquire`; the last one removes every module of the root."""
    with _roots_lock:
        root.users -= 1
        if root.users > 0:
            return
        short = root.name[len(PREFIX) :]
        _roots.pop(short, None)
        _private.discard(short)
        parent = sys.modules.get("wardian.live")
        modules: list[Any] = []
        for name in (root.name, *root.aliases):
            found = [n for n in sys.modules if n == name or n.startswith(name + ".")]
            modules += [sys.modules.pop(module, None) for module in found]
            vars(parent).pop(name[len(PREFIX) :], None)
        own = [m for m in modules if isinstance(m, types.ModuleType) and _is_of(m, root)]
        mark_closed(own, _used[short][0], shared=is_shared(short))
        plant(root.name, own)
        own.clear()
        modules.clear()
        withdraw(short)
        folder = _folder_of(root)
        if folder is not None:
            for cache in (sys.path_importer_cache, linecache.cache):
                for path in [p for p in list(cache) if p.startswith(f"{folder}{os.sep}")]:
                    cache.pop(path, None)
            for other in _roots.values():
                if _folder_of(other) == folder:  # of the same file: its sources go on being shown
                    other.show_sources()
        if not _roots:
            sys.path_hooks.remove(find_folder)
            loggers.uninstall()
        root.withdraw_operators()
        root.files.close()
        root.archive.close()
        in_use = any(True for _ in root.loaded.values())
        take_out_leftovers(root.name, {other.name for other in _roots.values()}, in_use=in_use)
