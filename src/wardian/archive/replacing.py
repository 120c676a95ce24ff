"""A file that takes its name only when all of it is written.

It grows under a temporary name beside its target and then replaces it in one step, so that a process that is
killed at any moment leaves the old file or the new one. While it grows it is locked: a temporary file
that nobody has locked was left by a process that is gone, and the next writer in the same folder removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wardian.archive.descriptors import begin_writeback

if TYPE_CHECKING:
    from io import FileIO

    from typing_extensions import Buffer

try:
    import fcntl
except ImportError:  # Windows, which does not let a file be removed that is open anyway
    fcntl = None  # type: ignore[assignment]

__all__ = ["ReplacingFile"]

_SUFFIX = ".wardian.tmp"
_LONGEST_STEM = 200
"""File systems allow 255 bytes; the rest of the temporary name takes 30."""
_WRITEBACK = 32 << 20
"""Bytes after which the system is told to begin bringing them to the disk."""


class ReplacingFile:
    """Write a file beside its target; `publish` gives it the name of the target.

    Args:
        target: The file to make or replace. A symbolic link is followed, as `open` does.

    Attributes:
        path: The temporary file.
        target: The target as an absolute path, links not followed.

    Raises:
        FileNotFoundError: if the folder of the target does not exist.
        IsADirectoryError: if the target is a folder.
        PermissionError: if the target, or its folder, cannot be written.
        OSError: if the target is something else than a file, such as a device.
    """

    path: Path
    target: Path

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target).absolute()
        self._place = Path(os.path.realpath(self.target)) if self.target.is_symlink() else self.target
        mode = self._mode_of_old()
        if not self._place.parent.exists():
            raise FileNotFoundError(
                errno.ENOENT, "the folder of the target does not exist", str(self._place.parent)
            )
        _remove_litter(self._place.parent)
        self._replaces = mode is not None
        self._file = self._create()
        self._gone = False
        self._process = os.getpid()
        self._started = 0
        if mode is not None:
            # Whoever may not read the old file may not read the new one either, not even while it grows.
            self.path.chmod(mode)

    def _mode_of_old(self) -> int | None:
        """Return the permissions of the file that will be replaced, None if there is none."""
        try:
            status = self._place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(
                errno.EISDIR, "the target is a folder; name a file in it", str(self.target)
            )
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, "the target is a link that leads nowhere", str(self.target))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "the target is a device or pipe; name a file", str(self.target))
        if not os.access(self._place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, "the target may not be written", str(self.target))
        return stat.S_IMODE(status.st_mode)

    def _create(self) -> FileIO:
        stem = self._place.name
        while len(os.fsencode(stem)) > _LONGEST_STEM:
            stem = stem[:-1]
        while True:
            self.path = self._place.with_name(f".{stem}.{secrets.token_hex(8)}{_SUFFIX}")
            # Mode "x" never follows a link that someone has laid, and the umask gives the usual permissions.
            # Unbuffered: what is written can be read by another process at once.
            with self._naming_target():
                file = self.path.open("xb", buffering=0)
            # Another writer may take it for litter before it is locked.
            if not _lock(file, wait=True) or os.fstat(file.fileno()).st_nlink:
                return file
            file.close()

    def write(self, data: Buffer) -> None:
        """Append *data*.

        Raises:
            OSError: if writing fails, such as on a full disk.
        """
        view = memoryview(data)
        with self._naming_target():
            while view:
                view = view[self._file.write(view) :]
            if self._replaces and (end := self._file.tell()) - self._started >= _WRITEBACK:
                begin_writeback(self._file.fileno(), self._started, end - self._started)
                self._started = end

    def overwrite(self, offset: int, data: bytes) -> None:
        """Write over bytes that are there."""
        with self._naming_target():
            end = self._file.tell()
            self._file.seek(offset)
            # Over bytes that are there: not cut short by a full disk.
            written = self._file.write(data)
            assert written == len(data)
            self._file.seek(end)

    def truncate(self, size: int) -> None:
        """Cut everything from *size* on."""
        with self._naming_target():
            self._file.truncate(size)
            self._file.seek(size)

    def require_own(self) -> None:
        """Refuse to write from a process that was forked from the one that began.

        Raises:
            RuntimeError: if this is another process.
        """
        if os.getpid() != self._process:
            raise RuntimeError(f"{self.target} is written by the process that this one was forked from")

    def publish(self) -> None:
        """Give the file its name.

        A file that is replaced stays until the new one is on the disk, so that not even a power failure
        takes both. Where there was none, nothing is waited for.

        Raises:
            OSError: if the file cannot be renamed, or not be brought to the disk.
            RuntimeError: if another process has begun it.
        """
        self.require_own()
        with self._naming_target():
            if self._replaces:
                os.fsync(self._file.fileno())
            if os.name == "nt":  # there an open file cannot be renamed
                self._file.close()
            self.path.replace(self._place)
        self._file.close()
        self._gone = True
        if self._replaces:
            _fsync_folder(self._place.parent)

    def discard(self) -> None:
        """Remove the temporary file; do nothing if it is published or gone, or another process writes it."""
        if not self._gone:
            self._gone = True
            self._file.close()
            if os.getpid() == self._process:
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    @contextmanager
    def _naming_target(self) -> Iterator[None]:
        """Let an error of the disk name the file that the caller asked for."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, f"cannot write: {error.strerror}", str(self.target)) from error


def _lock(file: FileIO, *, wait: bool = False) -> bool:
    """Lock a file; say whether it could be. The lock goes when the file is closed, or the process is gone."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is locked, or the file system has no locks
        return False
    return True


def _remove_litter(folder: Path) -> None:
    """Remove temporary files of processes that are gone."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for path in [entry.path for entry in entries if entry.name.endswith(_SUFFIX)]:
            with contextlib.suppress(OSError):
                _remove_if_dead(path)


def _remove_if_dead(path: str) -> None:
    if fcntl is None:
        os.unlink(path)  # fails for a file that is open
        return
    with open(path, "rb", buffering=0, opener=_open_no_link) as file:
        if _lock(file):
            os.unlink(path)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _fsync_folder(folder: Path) -> None:
    """Wait until a rename in *folder* is on the disk, where folders can be opened (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
