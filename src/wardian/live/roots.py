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
from wardian.live.announcements import announce, withdraw
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
    "is_private_name",
    "is_shared",
    "release",
    "root_name",
]

_MOST_PRIVATE = 10_000
"""Private roots of one file that a process is taken to open at most."""

_roots: dict[str, Root] = {}
_roots_lock = threading.RLock()
_used: dict[str, str] = {}
"""Files of the roots of this process, closed ones too: objects outlive a root, and must not be taken for
another's."""


def root_name(stem: str, digest: str) -> str:
    """Return the name of the root of a case below `wardian.live`.

    >>> root_name("ResNet-18 v2", "3f9a2c1b" + 56 * "0")
    'ResNet_18_v2_3f9a2c1b'
    """
    clean = re.sub(r"\W", "_", stem, flags=re.ASCII).strip("_") or "case"
    return f"{'_' if clean[0].isdigit() else ''}{clean}_{digest[:8]}"


def get_root(name: str) -> Root | None:
    """Return the open root *name*, or None."""
    return _roots.get(name)


def find_open(name: str) -> Root | None:
    """Return the open root *name*, or one of the same case that was opened from a file of another name."""
    found = _roots.get(name)
    if found is None:
        digest = name.rpartition("_")[2]
        for short, root in list(_roots.items()):
            # With the installed library in place of the packed one it is not the same.
            if short.rpartition("_")[2] == digest and is_shared(short) == is_shared(name):
                return root
    return found


def is_shared(name: str) -> bool:
    """Tell whether *name* is that of a root that serves installed modules."""
    return name.rpartition("_")[0].endswith(SHARED_SUFFIX)


def closed_path(name: str) -> str | None:
    """Return the file of the root *name* if it was open in this process and is closed, else None."""
    return None if name in _roots else _used.get(name)


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


def acquire(stem: str, archive: ArchiveReader | FolderReader, manifest: Manifest, **options: Any) -> Root:
    """Return the root of a case, made at the first use; each call is undone by `release`.

    Args:
        stem: What the name of the root begins with.
        archive: The open archive.
        manifest: Its manifest.
        **options: As for `Root`.
    """
    short = root_name(stem, archive.fingerprint)
    with _roots_lock:
        root = _roots.get(short) or _find_same_file(short, archive)
        return _register(Root(PREFIX + short, archive, manifest, **options)) if root is None else _use(root)


def _find_same_file(short: str, archive: ArchiveReader | FolderReader) -> Root | None:
    """Return the open root of the very file under another name, as symbolic links give it."""
    stamp = archive.stamp() if isinstance(archive, ArchiveReader) else None
    for other, root in _roots.items() if stamp is not None else ():
        # Others are of a PackageImporter, which has a root for itself.
        public = other.rpartition("_")[2] == short.rpartition("_")[2] and is_shared(other) == is_shared(short)
        if public and isinstance(root.archive, ArchiveReader) and root.archive.stamp() == stamp:
            return root
    return None


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
            short = _private_name(stem, archive.fingerprint, number)
        return _register(Root(PREFIX + short, archive, manifest, **options))


def is_private_name(name: str, stem: str, fingerprint: str) -> bool:
    """Tell whether `acquire_private` makes *name* for a file of this fingerprint."""
    return any(_private_name(stem, fingerprint, n) == name for n in range(1, _MOST_PRIVATE))


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
    _roots[short] = root
    _used[short] = str(root.archive.path or "<memory>")
    if root.archive.path is not None:
        announce(short, root.archive.path)
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
        parent = sys.modules.get("wardian.live")
        modules: list[Any] = []
        for name in (root.name, *root.aliases):
            found = [n for n in sys.modules if n == name or n.startswith(name + ".")]
            modules += [sys.modules.pop(module, None) for module in found]
            vars(parent).pop(name[len(PREFIX) :], None)
        own = [m for m in modules if isinstance(m, types.ModuleType) and _is_of(m, root)]
        mark_closed(own, _used[short], shared=is_shared(short))
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
        root.withdraw_operators()
        root.files.close()
        root.archive.close()
        in_use = any(True for _ in root.loaded.values())
        take_out_leftovers(root.name, {other.name for other in _roots.values()}, in_use=in_use)
