"""The local copy of a file that lies elsewhere: sparse, with a map of what is complete.

A folder holds one copy: the file, of its full size from the start, and beside it the map, one byte for each
storage. A byte is set after the storage was written and its digest was checked, so that a process that is
killed leaves nothing that counts as complete and is not. A file without its map counts as nothing: it is made
anew. So the map goes before the file, and comes before it. A lock lets one process at a time make or fill the
file; the others wait, and find it filled. While something is missing the file does not begin as an archive
does, so that nobody who opens it without its map, or a copy of it, takes what is missing for zeros.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

from wardian.archive import layout
from wardian.archive.content import write_at
from wardian.archive.remote.ranges import Span, join, parts_within
from wardian.forks import new_reentrant_lock

if sys.platform == "win32":
    _fcntl = None
else:
    import fcntl as _fcntl

__all__ = ["LocalCopy", "Told", "require_room", "room_in"]

_AT_ONCE = 8
"""Requests at once."""
_TURN = 256 << 20
"""Bytes after which another process gets its turn to fill the file."""
_MAP = ".map"
_MAP_START = b"\1"
"""Tells a map of no storages from one that was emptied."""

Told = Callable[[int, int], None]
"""Called with the bytes that came, and with those that are wanted; with 0 and 0 when no more will come."""


class LocalCopy:
    """A sparse file and its map.

    Args:
        path: The file; the map is beside it.
        has_map: False for a file that is being made, of which all that is read is there.

    Raises:
        FileNotFoundError: if the file or its map is not there, or is replaced meanwhile.
        OSError: if it cannot be opened.
    """

    def __init__(self, path: Path, *, has_map: bool = True) -> None:
        self.path = path
        self._lock = new_reentrant_lock()
        self._map: bytes | None = None  # None: all is there
        self._map_file: int | None = None
        self.count: int | None = None
        """The number of storages that the map lists; None without a map."""
        self._descriptor: int | None = None
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            if has_map:
                self._map_file = os.open(_map_of(path), flags)
                self.count = os.fstat(self._map_file).st_size - len(_MAP_START)
                self._read_map()
            self._descriptor = os.open(path, flags)
            # A map that is still in its place is that of the file: it comes before it, and goes before it.
            if self._map_file is not None and not os.path.samestat(
                os.fstat(self._map_file), os.stat(_map_of(path))
            ):
                raise FileNotFoundError(errno.ENOENT, "the copy was replaced", str(path))
        except BaseException:
            self.close()
            raise

    @staticmethod
    def is_partial(path: Path) -> bool:
        """Tell whether a file is a local copy that is not complete."""
        try:
            found = _map_of(path).read_bytes()
        except FileNotFoundError:
            return False
        return not found or b"\0" in found

    @staticmethod
    def make(path: Path, skeleton: Path, here: bytes) -> None:
        """Put a file with all but its storages into its place, unless another process was faster.

        Args:
            path: The place.
            skeleton: The file, in a folder of the same file system.
            here: For each storage 1 if it is there, else 0.
        """
        with _locked(path.parent):
            if path.exists() and _map_of(path).exists():
                return
            path.unlink(missing_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".making-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAP_START + here)
            os.replace(name, _map_of(path))
            os.replace(skeleton, path)

    @staticmethod
    def discard(path: Path) -> None:
        """Remove a copy that is not sound."""
        with _locked(path.parent):
            for each in (_map_of(path), path):
                each.unlink(missing_ok=True)

    def descriptor(self) -> int:
        """Return another descriptor of the file."""
        assert self._descriptor is not None
        return os.dup(self._descriptor)

    @property
    def is_complete(self) -> bool:
        """Whether all storages are there."""
        return self._map is None

    def has(self, number: int) -> bool:
        """Tell whether a storage is there."""
        return self._map is None or self._map[len(_MAP_START) + number] == 1

    def forget(self, number: int) -> None:
        """Let a storage be read again: what is in the file is damaged.

        Args:
            number: The storage.
        """
        with self._lock, _locked(self.path.parent):
            self._mark(number, b"\0")

    def fill(
        self,
        spans: Mapping[int, Span],
        read: Callable[[int, int], bytes],
        check: Callable[[int], None],
        told: Told,
    ) -> None:
        """Read storages that are not there.

        Args:
            spans: Number of each → where it lies.
            read: Returns the bytes from a place of the file to another; called in many threads.
            check: Called with the number of a storage when all of it is written; raises if it is damaged.
            told: Called as bytes come.
        """
        try:
            with room_in(self.path.parent):
                self._fill_in_turns(spans, read, check, told)
        finally:
            told(0, 0)

    def _fill_in_turns(
        self,
        spans: Mapping[int, Span],
        read: Callable[[int, int], bytes],
        check: Callable[[int], None],
        told: Told,
    ) -> None:
        with self._lock:
            total = sum(span.size for number, span in spans.items() if not self.has(number))
            done = 0
            if total:
                told(0, total)  # who watches sees what is waited for
            while not self.is_complete:
                with _locked(self.path.parent):
                    self._read_map()
                    turn = self._turn(spans)
                    if not turn:
                        break
                    require_room(self.path.parent, sum(span.size for span in turn.values()))

                    def come(size: int) -> None:
                        nonlocal done
                        done += size
                        told(min(done, total), total)

                    self._fill(turn, read, check, come)

    def _turn(self, spans: Mapping[int, Span]) -> dict[int, Span]:
        """Return the storages that come next: no more than other processes can wait for."""
        turn: dict[int, Span] = {}
        size = 0
        for number, span in sorted(spans.items(), key=lambda item: item[1]):
            if not self.has(number) and (not turn or size + span.size <= _TURN):
                turn[number] = span
                size += span.size
        return turn

    def _fill(
        self,
        wanted: Mapping[int, Span],
        read: Callable[[int, int], bytes],
        check: Callable[[int], None],
        come: Callable[[int], None],
    ) -> None:
        requests = join(wanted.values())
        parts = {request: parts_within(request, wanted.values()) for request in requests}
        left = {number: span.size for number, span in wanted.items()}

        def work(request: Span) -> Span:
            content = memoryview(read(*request))
            # Only what is wanted: a storage in a gap may be there already, and in use.
            for part in parts[request]:
                self._write(part.start, content[part.start - request.start : part.stop - request.start])
            return request

        for number in [number for number, size in left.items() if not size]:
            self._finish(number, check)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="wardian-remote") as threads:
            futures: list[Future[Span]] = [threads.submit(work, request) for request in requests]
            try:
                for future in as_completed(futures):
                    request = future.result()
                    come(sum(part.size for part in parts[request]))
                    for number, span in wanted.items():
                        came = sum(part.size for part in parts_within(request, [span]))
                        left[number] -= came
                        if came and not left[number]:
                            self._finish(number, check)
            finally:
                threads.shutdown(cancel_futures=True)

    def _finish(self, number: int, check: Callable[[int], None]) -> None:
        check(number)
        self._mark(number, b"\1")

    def _mark(self, number: int, mark: bytes) -> None:
        assert self._map_file is not None
        assert self._descriptor is not None
        self._read_map()
        place = len(_MAP_START) + number
        after = b"" if self._map is None else self._map[:place] + mark + self._map[place + 1 :]
        is_partial = b"\0" in after or mark == b"\0"
        write_at(self._descriptor, 0, layout.PARTIAL_SIGNATURE if is_partial else layout.LOCAL_SIGNATURE)
        write_at(self._map_file, place, mark)
        self._read_map()

    def _write(self, offset: int, content: memoryview) -> None:
        assert self._descriptor is not None
        write_at(self._descriptor, offset, content)

    def _read_map(self) -> None:
        """Take what the map says by now."""
        assert self._map_file is not None
        found = os.pread(self._map_file, os.fstat(self._map_file).st_size, 0)
        self._map = found if b"\0" in found else None

    def close(self) -> None:
        """Let the files go."""
        for descriptor in (self._descriptor, self._map_file):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._map_file = None


def _map_of(path: Path) -> Path:
    return path.with_name(path.name + _MAP)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process make or fill the file. The lock ends with the process, however that ends."""
    if _fcntl is None:
        yield
        return
    # A descriptor of its own: after a fork two processes would share the lock of one.
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: then both read the same bytes
            _fcntl.flock(descriptor, _fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def require_room(folder: Path, size: int) -> None:
    """Refuse to begin with what has no room on the disk.

    Raises:
        OSError: if the file system of *folder* has less than *size* bytes left.
    """
    with suppress(NotImplementedError):
        if shutil.disk_usage(folder).free < size:
            raise _full(folder, size)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Say which disk it is that is full while something is written to *folder*, and what helps.

    Raises:
        OSError: in place of the one that says only that a disk is full.
    """
    try:
        yield
    except OSError as error:
        number = error.errno
        # Other words than the system's tell it already.
        if number is None or number not in _FULL or error.strerror != os.strerror(number):
            raise
        raise _full(folder) from None


_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _full(folder: Path, size: int | None = None) -> OSError:
    needed = "" if size is None else f" {size:,} bytes are needed;"
    return OSError(
        errno.ENOSPC,
        f"the disk is full:{needed} make room, or let WARDIAN_CACHE name a folder on another one",
        str(folder),
    )
