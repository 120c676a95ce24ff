"""The cache folder: files that can be made again, of one user, within bounds.

Nobody but the user may write there, because what lies there is used: as data of packages, as machine code, as
notes that weights were checked. Every level is made for the user alone, whatever the umask. An entry (the
files of a case, a build of an operator library) is locked while a process uses it, by a lock that ends with
the process; so whoever clears up can tell what a killed process left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from wardian.errors import WardianWarning

if sys.platform == "win32":
    _fcntl = None
else:
    import fcntl as _fcntl

__all__ = [
    "CACHE_VARIABLE",
    "Lock",
    "MAKING",
    "cache_folder",
    "clear",
    "keep_within_bounds",
    "make_private",
    "sizes",
]

CACHE_VARIABLE = "WARDIAN_CACHE"
"""Environment variable that names another cache folder."""

MAKING = ".making-"
"""What names begin with of what is not complete yet."""

_GONE = ".gone-"
_LOCKED = ("cases", "libraries")
"""Folders whose members are entries, locked while they are in use."""
_LEVELS = (*_LOCKED, "open", "verified")

_DAY = 86_400
_MOST_DAYS = 90
_MOST_BYTES = 16 << 30
_told: set[str] = set()


def cache_folder() -> Path | None:
    """Return the folder for files that can be made again, or None if none can be used.

    It is `$WARDIAN_CACHE`, else the user's cache folder by the rules of the platform. A folder that belongs
    to somebody else, or that others can write, is not used, and a warning says so, once.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if not chosen:
        try:
            chosen = platformdirs.user_cache_dir("wardian", appauthor=False)
        except RuntimeError:  # a user without a home and without an entry in the list of users
            return None
        if not os.path.isabs(chosen):  # or `~` stays in it, and names a folder of that name here
            return None
    folder = Path(chosen).absolute()
    try:
        make_private(folder)
        for level in _LEVELS:
            with contextlib.suppress(FileNotFoundError):
                _check(str(folder / level), os.lstat(folder / level))
    except PermissionError as error:
        _warn(error)
        return None
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def make_private(folder: str | os.PathLike[str]) -> None:
    """Make a folder for the user alone, and those above it that are missing.

    Raises:
        PermissionError: if it is there and somebody else owns it, or can write to it.
        OSError: if it cannot be made.
    """
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        above = os.path.dirname(folder)
        if not os.path.isdir(above):
            make_private(above)
        with contextlib.suppress(FileExistsError):  # another process is faster
            os.mkdir(folder, 0o700)
            os.chmod(folder, 0o700)  # the umask may have taken more away
        status = os.stat(folder)
    _check(os.fspath(folder), status)


class _NotOursError(PermissionError):
    """A folder is of somebody else."""


def _check(folder: str, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{folder} is no folder")
    if sys.platform == "win32":  # where the home of a user is the user's
        return
    if status.st_uid != os.geteuid():
        raise _NotOursError(f"it belongs to another user: {folder}")
    if status.st_mode & 0o022:
        raise _NotOursError(f"other users can write to it (chmod go-w mends that): {folder}")


def _warn(error: PermissionError) -> None:
    if isinstance(error, _NotOursError) and str(error) not in _told:
        _told.add(str(error))
        warnings.warn(
            f"the cache folder is not used, because {error}; let {CACHE_VARIABLE} name another",
            WardianWarning,
            stacklevel=2,
        )


class Lock:
    """A lock on a folder, which many share; it ends with the process, however that ends.

    Args:
        folder: An entry of the cache; it is made if it is missing.

    Raises:
        OSError: if the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        while True:
            make_private(folder)
            self._descriptor = _lock(folder, alone=True)
            if self._descriptor is not None:
                # Nobody else uses it: what is not complete was left by a process that was killed.
                _remove(path for path in os.scandir(folder) if path.name.startswith(MAKING))
            self._descriptor = _lock(folder, self._descriptor)
            if self._descriptor is None or _is_open(self._descriptor, folder):
                break
            self.release()  # it was cleared in between
        with contextlib.suppress(OSError):
            os.utime(folder)  # when it was last used

    def release(self) -> None:
        """Let it go."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _lock(
    folder: str | os.PathLike[str], descriptor: int | None = None, *, alone: bool = False
) -> int | None:
    """Lock a folder, if need be by a descriptor that is open; return the descriptor, None without a lock."""
    if _fcntl is None:
        return None
    opened = descriptor
    try:
        if opened is None:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        _fcntl.flock(opened, (_fcntl.LOCK_EX | _fcntl.LOCK_NB) if alone else _fcntl.LOCK_SH)
    except OSError:  # in use, or a file system without locks
        if opened is not None:
            os.close(opened)
        return None
    return opened


def _is_open(descriptor: int, folder: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def _remove(paths: Iterator[os.DirEntry[str]]) -> None:
    for path in list(paths):
        if path.is_dir(follow_symlinks=False):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)


def keep_within_bounds(folder: Path) -> None:
    """Remove what was not used for 90 days, and the oldest above 16 GiB; look once a day at most.

    Args:
        folder: The cache folder.
    """
    note = folder / "cleared"
    with contextlib.suppress(OSError):
        if time.time() - os.stat(note).st_mtime < _DAY:
            return
    with contextlib.suppress(OSError):
        note.touch(0o600)
        clear(folder, max_days=_MOST_DAYS, max_bytes=_MOST_BYTES)


def clear(folder: Path, *, max_days: float | None = None, max_bytes: int | None = None) -> int:
    """Remove entries that no process uses.

    Args:
        folder: The cache folder.
        max_days: Remove what was not used for so many days.
        max_bytes: Remove what was not used for longest, until no more is left. Without both, all goes.

    Returns:
        What was freed, in bytes.
    """
    everything = max_days is None and max_bytes is None
    oldest = time.time() - (max_days * _DAY if max_days is not None else float("inf"))
    entries = []
    freed = 0
    for level in _LEVELS:
        for path in _members(folder / level):
            try:
                used = path.stat(follow_symlinks=False).st_mtime
            except FileNotFoundError:
                continue
            if level in _LOCKED:
                entries.append((used, path.path, _size(path.path)))
            elif level == "verified" and (everything or used < oldest):
                with contextlib.suppress(OSError):
                    os.unlink(path)
    left = sum(size for _, _, size in entries)
    for used, path_name, size in sorted(entries):
        too_large = max_bytes is not None and left > max_bytes
        if (everything or used < oldest or too_large) and _remove_entry(path_name):
            left -= size
            freed += size
    return freed


def sizes(folder: Path) -> dict[str, int]:
    """Return what lies in the cache folder: the size of each kind of entry, in bytes."""
    return {level: _size(str(folder / level)) for level in _LEVELS}


def _members(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _remove_entry(path: str) -> bool:
    """Remove an entry if nobody uses it; tell whether it is gone."""
    if not os.path.isdir(path) or os.path.islink(path):
        with contextlib.suppress(OSError):
            os.unlink(path)
        return not os.path.lexists(path)
    descriptor = _lock(path, alone=True)
    if descriptor is None and _fcntl is not None:
        return False
    # Under another name first: who comes now finds nothing, and makes it anew.
    folder, name = os.path.split(path)
    gone = path if name.startswith(_GONE) else os.path.join(folder, f"{_GONE}{os.getpid()}-{name}")
    try:
        os.rename(path, gone)
    except OSError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)
    shutil.rmtree(gone, ignore_errors=True)
    return not os.path.lexists(gone)


def _size(path: str) -> int:
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
