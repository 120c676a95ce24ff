"""The cache folder: files that can be made again, of one user, within bounds.

Nobody but the user may write there, because what lies there is used: as data of packages, as machine code, as
notes that weights were checked. Every level is made for the user alone, whatever the umask. An entry (the
files of a case, a build of an operator library) is locked while a process uses it, by a lock that ends with
the process; so whoever clears up can tell what a killed process left.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from wardian.errors import WardianWarning

if sys.platform == "win32":
    _fcntl = None
else:
    import fcntl as _fcntl

__all__ = [
    "Bounds",
    "CACHE_VARIABLE",
    "DAYS_VARIABLE",
    "FACTS",
    "Lock",
    "MAKING",
    "SIZE_VARIABLE",
    "alone",
    "cache_folder",
    "clear",
    "find_cache_folder",
    "keep_within_bounds",
    "make_private",
    "remove_old_notes",
    "sizes",
]

CACHE_VARIABLE = "WARDIAN_CACHE"
"""Environment variable that names another cache folder."""

DAYS_VARIABLE = "WARDIAN_CACHE_MAX_DAYS"
"""Environment variable: after how many days without use something goes."""
SIZE_VARIABLE = "WARDIAN_CACHE_MAX_SIZE"
"""Environment variable: what the folder may take, as a number of bytes or with a unit (`500MB`, `2GiB`)."""

MAKING = ".making-"
"""Prefix of the names of entries that are not complete yet."""

FACTS = "facts"
"""Folder of files with what is known of sources."""

_GONE = ".gone-"
_LOCKED = ("cases", "libraries", "remote")
"""Folders whose members are entries, locked while they are in use."""
_LEVELS = (*_LOCKED, FACTS, "open", "verified")

_DAY = 86_400
_told: set[str] = set()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits that the cache folder keeps within by itself.

    >>> print(Bounds())
    at most 16 GiB, nothing that was not used for 90 days
    """

    max_days: float = 90.0
    max_bytes: float = float(16 << 30)

    @classmethod
    def current(cls) -> Bounds:
        """Return those of the environment; of what is none there a warning tells, once."""
        default = cls()
        return cls(
            _setting(DAYS_VARIABLE, float, default.max_days, "a number of days, such as 30 or inf"),
            _setting(SIZE_VARIABLE, _bytes, default.max_bytes, "a size, such as 500MB, 2GiB or inf"),
        )

    def __str__(self) -> str:
        days = "" if self.max_days == math.inf else f", nothing that was not used for {self.max_days:g} days"
        if self.max_bytes == math.inf:
            return f"any size{days}"
        unit = next(u for u in ("GiB", "MiB", "KiB", "B") if self.max_bytes >= _UNITS[u] or u == "B")
        return f"at most {self.max_bytes / _UNITS[unit]:.4g} {unit}{days}"


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{letter}iB": 1 << (10 * number) for number, letter in enumerate("KMGT", 1)
}


def _setting(variable: str, read: Callable[[str], float], default: float, form: str) -> float:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = read(text)
        if value >= 0:
            return value
    except ValueError:
        pass
    problem = f"{variable} is {text!r:.60} and must be {form}; {default:.0f} counts"
    if problem not in _told:
        _told.add(problem)
        warnings.warn(problem, WardianWarning, stacklevel=2)
    return default


def _bytes(text: str) -> float:
    digits = text.rstrip("BKMGTibkmgt ")
    units = {unit.lower(): size for unit, size in _UNITS.items()}
    unit = text[len(digits) :].strip().lower()
    if unit not in units:
        raise ValueError(text)
    return float(digits) * units[unit]


def cache_folder(*, warns: bool = True) -> Path | None:
    """Return the folder for files that can be made again, or None if none can be used.

    A folder that belongs to somebody else, or that others can write, is not used, and a warning says so,
    once.

    Args:
        warns: Whether to warn; not where nobody would see it.
    """
    try:
        return find_cache_folder()
    except PermissionError as error:
        if warns:
            _warn(error)
    except OSError:
        pass
    return None


def find_cache_folder() -> Path:
    """Return the folder for files that can be made again.

    It is `$WARDIAN_CACHE`, else the user's cache folder by the rules of the platform.

    Raises:
        OSError: if it cannot be used, with the reason.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if not chosen:
        try:
            chosen = platformdirs.user_cache_dir("wardian", appauthor=False)
        except RuntimeError:  # a user without a home and without an entry in the list of users
            chosen = "~"
        if not os.path.isabs(chosen):  # `~` stays in it, and would name a folder of that name here
            raise FileNotFoundError("this user has no home folder")
    folder = Path(chosen).absolute()
    make_private(folder)
    for level in _LEVELS:
        with contextlib.suppress(FileNotFoundError):
            _check(str(folder / level), os.lstat(folder / level))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"nothing can be written to it: {folder}")
    return folder


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


@contextlib.contextmanager
def alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let other processes that enter with the same path wait; where there are no locks nobody does.

    Unlike that of `Lock`, this lock is not shared with forks of the process: it ends with the block, or with
    the process.

    Args:
        path: A file that is made, and stays.
    """
    with contextlib.ExitStack() as opened:
        if _fcntl is not None:
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                opened.callback(os.close, descriptor)  # which lets go
                _fcntl.lockf(descriptor, _fcntl.LOCK_EX)
        yield


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
    """Remove what was not used for long, and the oldest of what is too large; look once a day at most.

    `Bounds.current` says what is long, and what too large; copies of cases that lie elsewhere do not count.

    Args:
        folder: The cache folder.
    """
    note, bounds = folder / "cleared", Bounds.current()
    with contextlib.suppress(OSError):
        if time.time() - os.stat(note).st_mtime < _DAY and note.read_text() == repr(bounds):
            return
    with contextlib.suppress(OSError):
        note.touch(0o600)
        note.write_text(repr(bounds))
        clear(folder, max_days=bounds.max_days)
        clear(folder, max_bytes=bounds.max_bytes, spared=("remote",))  # to bring a copy here again takes long


def clear(
    folder: Path,
    *,
    max_days: float | None = None,
    max_bytes: float | None = None,
    spared: tuple[str, ...] = (),
) -> int:
    """Remove entries that no process uses.

    Args:
        folder: The cache folder.
        max_days: Remove what was not used for so many days.
        max_bytes: Remove what was not used for longest, until no more is left. Without both, all goes.
        spared: Kinds of entries that stay.

    Returns:
        What was freed, in bytes.
    """
    everything = max_days is None and max_bytes is None
    oldest = time.time() - (max_days * _DAY if max_days is not None else float("inf"))
    entries = []
    freed = 0
    if everything:
        remove_old_notes(folder / "open")
    for level in _LEVELS:
        for path in _members(folder / level) if level not in spared else ():
            try:
                used = path.stat(follow_symlinks=False).st_mtime
            except FileNotFoundError:
                continue
            if level in (*_LOCKED, FACTS):
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


def remove_old_notes(folder: Path) -> None:
    """Remove notes about open cases whose processes have ended; their names begin with the number of one."""
    for note in _members(folder):
        process = note.name.partition(".")[0]
        if process.isdigit() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):
                os.unlink(note.path)


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # where the signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


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
                status = os.lstat(os.path.join(place, name))
                # A copy of a case that lies elsewhere has holes.
                total += min(status.st_size, getattr(status, "st_blocks", status.st_size) * 512)
    return total
