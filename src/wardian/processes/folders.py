"""Folders for what a process passes to another: private, and removed even if both are killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["work_folder"]

_PREFIX = "wardian-"
_LOCK = "in-use.lock"


@contextmanager
def work_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter, in the folder for temporary files; remove it afterwards.

    A process that is killed leaves its folders, and in them what the user packs. So each holds a file that is
    locked as long as its process lives, and who makes a folder first removes those whose lock is free. Unlike
    the number of a process, a lock means the same in all containers that share the disk.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Put a locked file into *folder*, and return its descriptor; None where files cannot be locked."""
    try:
        import fcntl
    except ImportError:
        return None
    # It gets its name when it is locked: no one may find it free meanwhile.
    descriptor, name = tempfile.mkstemp(dir=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(name, folder / _LOCK)
    except OSError:  # a file system without locks
        os.close(descriptor)
        os.unlink(name)
        return None
    return descriptor


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are no more."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _is_left_over(entry):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_left_over(entry: os.DirEntry[str]) -> bool:
    """Tell whether *entry* is a folder of this user's whose lock nobody holds."""
    try:
        import fcntl

        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return False
        descriptor = os.open(os.path.join(entry.path, _LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        # It is being made, or it is on a file system without locks, or not of this kind.
        return False
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
