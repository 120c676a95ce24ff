"""Folders for what a process passes to another: private, and removed even if both are killed."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["WorkFolder", "work_folder"]

_PREFIX = "wardian-"
_LOCK = "in-use.lock"


class WorkFolder:
    """A folder that only this user can enter, in the folder for temporary files, until it is closed.

    A process that is killed leaves its folders, and in them what the user packs. So each holds a file that is
    locked as long as its process lives, and who makes a folder first removes those whose lock is free. Unlike
    the number of a process, a lock means the same in all containers that share the disk.

    Attributes:
        path: The folder.
    """

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = _lock(self.path)

    @property
    def is_locked(self) -> bool:
        """Whether it is still there, with its lock."""
        try:
            there = os.stat(self.path / _LOCK)
        except OSError:
            return False
        return self._lock is not None and os.path.samestat(there, os.fstat(self._lock))

    def close(self) -> None:
        """Remove the folder; calling it again does nothing."""
        _remove(str(self.path))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def work_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter, and remove it afterwards; as `WorkFolder`."""
    with contextlib.closing(WorkFolder()) as folder:
        yield folder.path


def _remove(folder: str) -> None:
    """Remove a folder with all that is in it, whatever strangers' code has put there; nothing is raised.

    `shutil.rmtree` gives up at folders in folders without end, and at those that cannot be entered. So each
    folder is moved up before it is looked into.
    """
    waiting, found = [folder], []
    while waiting:
        found.append(waiting.pop())
        for path, is_folder in _inside(found[-1]):
            with contextlib.suppress(OSError):
                if not is_folder:
                    os.unlink(path)
                elif found[-1] == folder:
                    waiting.append(path)
                else:
                    os.chmod(path, 0o700)  # a folder that changes its parent has to be written
                    upwards = tempfile.mktemp(dir=folder)  # noqa: S306  nobody else enters it
                    os.rename(path, upwards)
                    waiting.append(upwards)
    for path in reversed(found):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _inside(folder: str) -> list[tuple[str, bool]]:
    """Return the paths in a folder, and which of them are folders themselves."""
    try:
        os.chmod(folder, 0o700)
        with os.scandir(folder) as entries:
            return [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []


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
                _remove(entry.path)


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
