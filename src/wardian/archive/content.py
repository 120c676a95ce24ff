"""Where the bytes of an archive are: in memory, in a file that is mapped, or in one that is read in parts.

A file is opened once, and all that is read or mapped later is of the descriptor that was opened then: its
path may lead to another file by the time.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import mmap
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from wardian.errors import NotACaseError
from wardian.forks import new_lock

if TYPE_CHECKING:
    from mmap import mmap as Mapped  # noqa: N812

    from typing_extensions import Buffer

__all__ = [
    "Content",
    "FileParts",
    "identity_of",
    "open_content",
    "open_regular",
    "read_at",
    "read_regular",
    "write_at",
]

_READ_WHOLE = 4 << 20
"""A file up to this size is read when it is opened: that takes no longer than to map it, and nobody
can change it afterwards."""
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # nothing that is put there after it was looked at makes it wait
)


class FileParts:
    """A file as bytes that are read when they are asked for, and not mapped.

    Args:
        descriptor: The open file.
        size: Its size when it was opened.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        content = bytearray(max(0, stop - start))
        return bytes(memoryview(content)[: read_at(self._descriptor, start, content)])

    def rfind(self, part: bytes, start: int) -> int:
        """Return where *part* begins for the last time, at *start* or later; -1 if nowhere."""
        found = self[start:].rfind(part)
        return found if found < 0 else start + found


class Content:
    """The bytes of one archive.

    Attributes:
        path: The file as an absolute path; None if there is none.
        descriptor: The open file, None if the content was never one, or is closed.
        data: The bytes.
    """

    path: Path | None
    descriptor: int | None
    data: bytes | Mapped | FileParts

    def __init__(
        self, data: bytes | Mapped | FileParts, path: Path | None = None, descriptor: int | None = None
    ) -> None:
        self.data, self.path, self.descriptor = data, path, descriptor
        self.size = len(data)
        self._opened_as = self.status()

    def status(self) -> os.stat_result | None:
        """Return what the system says of the open file by now; None if there is none."""
        return None if self.descriptor is None else os.fstat(self.descriptor)

    def identity(self, *, at_path: bool = False) -> tuple[int, ...] | None:
        """Return what tells the open file from others, and from itself after a change; None for no file.

        Args:
            at_path: If another file has its path by now, return what it was when it was opened: to lose its
                name is no change.
        """
        status = self.status()
        if status is not None and at_path and self.path is not None and not _leads_to(self.path, status):
            status = self._opened_as
        return None if status is None else identity_of(status)

    def is_at_path(self) -> bool:
        """Tell whether `path` leads to the file that was opened, which nobody has changed since."""
        if self.path is None or self._opened_as is None:
            return False
        try:
            return identity_of(self.path.stat()) == identity_of(self._opened_as)
        except OSError:
            return False

    def is_cut(self) -> bool:
        """Tell whether a mapped file is shorter than when it was opened: of its end nothing is there."""
        if not isinstance(self.data, mmap.mmap) or self.descriptor is None:
            return False
        return os.fstat(self.descriptor).st_size < self.size

    def reload(self) -> bool:
        """Read the file again if it was read when it was opened; say whether all of it is still there."""
        if isinstance(self.data, bytes) and self.descriptor is not None:
            content = bytearray(self.size)
            if read_at(self.descriptor, 0, content) < self.size:
                return False
            self.data = bytes(content)
        return not self.is_cut()

    def close(self) -> None:
        """Let the file go. A view that is in use stays valid and keeps it mapped."""
        data, self.data = self.data, b""
        if isinstance(data, mmap.mmap):
            # With a view in use it is unmapped when that goes.
            with contextlib.suppress(BufferError):
                data.close()
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "descriptor", None) is not None:
            self.close()


def _leads_to(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what of a status tells a file from others, and from itself after a change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def open_content(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO, *, mapped: bool = True
) -> Content:
    """Return the content of what `ArchiveReader.open` takes.

    Args:
        source: A path, the content itself, or a binary file.
        mapped: Map a large file; else it is read in parts.

    Raises:
        TypeError: if *source* is anything else.
        NotACaseError: if it is a device, FIFO or socket, or a link to one.
        OSError: if it cannot be opened, or is a folder.
    """
    if isinstance(source, bytes):
        return Content(source)
    if isinstance(source, bytearray | memoryview):
        # A copy: it must stay what it was when it was checked.
        return Content(bytes(source))
    if isinstance(source, (str, os.PathLike)):
        return _of_file(open_regular(source), Path(source).absolute(), mapped=mapped)
    if not callable(getattr(source, "read", None)):
        raise TypeError(
            f"a case is opened from a path, bytes or a binary file, not from {type(source).__name__}"
        )
    path = _real_path(source)
    if path is not None:
        source.flush()
        return _of_file(os.dup(source.fileno()), path, mapped=mapped)
    if _is_device(source):
        raise _special(str(getattr(source, "name", "the file")), "device")
    if source.seekable():
        source.seek(0)
    content = source.read()
    if not isinstance(content, bytes):
        raise TypeError(f"reading the file gives {type(content).__name__}; open it in binary mode")
    return Content(content)


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a file to read it, without waiting for anyone.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        IsADirectoryError: if it is a folder.
        NotACaseError: if it is a device, FIFO or socket, or a link to one: it may have no end.
        OSError: if it cannot be opened.
    """
    # To open a device may do something already.
    _require_regular(os.stat(path), path)
    descriptor = os.open(path, _FLAGS)
    try:
        _require_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file.

    Raises:
        NotACaseError, OSError: as for `open_regular`.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()


def _cases_in(folder: str | os.PathLike[str]) -> str:
    """Return which cases are in a folder, as the end of a sentence."""
    names = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(
            entry.name for entry in itertools.islice(entries, 1000) if entry.name.endswith(".case")
        )
    if not names:
        return "; name a file in it"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; name a case in it: {', '.join(names[:3])}{more}"


def _require_regular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, f"it is a folder{_cases_in(path)}", os.fspath(path))
    if not stat.S_ISREG(status.st_mode):
        kinds = ((stat.S_ISFIFO, "FIFO"), (stat.S_ISSOCK, "socket"))
        kind = next((name for is_one, name in kinds if is_one(status.st_mode)), "device")
        raise _special(os.fspath(path), kind)


def _special(path: str, kind: str) -> NotACaseError:
    return NotACaseError(
        f"'{path}' is not a case: it is a {kind}, or a link to one, and may have no end; only a regular file"
        " is opened. If you know that it ends: wardian.open(open(path, 'rb').read())",
        path=path,
    )


def _of_file(descriptor: int, path: Path, *, mapped: bool) -> Content:
    """Return the content of an open file, which the result closes."""
    try:
        size = os.fstat(descriptor).st_size
        if size <= _READ_WHOLE:
            content = bytearray(size)
            return Content(bytes(memoryview(content)[: read_at(descriptor, 0, content)]), path, descriptor)
        if mapped:
            return Content(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), path, descriptor)
        return Content(FileParts(descriptor, size), path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _real_path(file: BinaryIO) -> Path | None:
    """Return the path where the content of *file* lies, None if it is no regular file that has one."""
    # Only of these is it known that the file has the content: a GzipFile has a path, too.
    if type(file) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        return None
    if not isinstance(getattr(file, "name", None), str):  # a BufferedReader of something in memory
        return None
    try:
        status = os.fstat(file.fileno())
        same = stat.S_ISREG(status.st_mode) and os.path.samestat(os.stat(file.name), status)
    except OSError:
        return None
    return Path(file.name).absolute() if same else None


def _is_device(file: BinaryIO) -> bool:
    """Tell whether *file* is a device, of which some never end."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except (OSError, AttributeError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


_seeking = new_lock()


def read_at(descriptor: int, offset: int, target: Buffer) -> int:
    """Fill *target* with what lies at *offset* of a file, whatever its position is.

    Returns:
        The bytes that were read: fewer than asked for only where the file ends.
    """
    view = memoryview(target).cast("B")
    done = 0
    while done < len(view):
        count = _read_once(descriptor, offset + done, view[done:])
        if not count:
            break
        done += count
    return done


if hasattr(os, "preadv"):

    def _read_once(descriptor: int, offset: int, target: memoryview) -> int:
        return os.preadv(descriptor, [target], offset)

else:

    def _read_once(descriptor: int, offset: int, target: memoryview) -> int:
        with _seeking:
            os.lseek(descriptor, offset, os.SEEK_SET)
            part = os.read(descriptor, min(len(target), 1 << 20))
        target[: len(part)] = part
        return len(part)


def write_at(descriptor: int, offset: int, content: Buffer) -> None:
    """Write all of *content* at *offset* of a file, whatever its position is.

    Raises:
        OSError: if it cannot be written, such as on a full disk.
    """
    view = memoryview(content).cast("B")
    done = 0
    while done < len(view):
        done += _write_once(descriptor, offset + done, view[done:])


if hasattr(os, "pwrite"):

    def _write_once(descriptor: int, offset: int, content: memoryview) -> int:
        return os.pwrite(descriptor, content, offset)

else:

    def _write_once(descriptor: int, offset: int, content: memoryview) -> int:
        with _seeking:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.write(descriptor, content)
