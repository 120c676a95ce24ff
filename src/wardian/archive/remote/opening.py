"""From a URL to a reader: the end of the file is read, the local copy found or made."""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from wardian.archive import central_directory as directory
from wardian.archive import layout
from wardian.archive.central_directory import DamageError
from wardian.archive.content import write_at
from wardian.archive.reader import ArchiveReader
from wardian.archive.remote import COPY
from wardian.archive.remote.connecting import connect
from wardian.archive.remote.copies import LocalCopy, Told, require_room, room_in
from wardian.archive.remote.early import EarlySource
from wardian.archive.remote.ranges import Span
from wardian.archive.remote.reader import RemoteReader
from wardian.archive.remote.sources import ChangedError, NoRangesError, Source, Tail
from wardian.archive.remote.urls import shown, url_key
from wardian.domain.record_names import SEAL, is_storage, storage_entry
from wardian.errors import CaseError, CorruptCaseError, RemoteError

__all__ = ["Held", "Opening", "open_copy_at", "open_remote"]

_TAIL = 1 << 20
"""Bytes of the end that the first request brings: the directory, and of a small case all its code."""
_HEAD = 64 << 10
"""Bytes of the start that tell what a file is that is no case."""
_ORIGIN = "origin"
"""Names the file in which the URL of a copy is, unless that may hold a secret."""
_URLS = ".urls"


class Held(Protocol):
    """A lock on the folder of a copy, which keeps it from being removed."""

    def release(self) -> None:
        """Let it go."""


def _nothing(done: int, total: int) -> None:
    pass


@dataclass(kw_only=True)
class Opening:
    """How a URL is opened."""

    folder: Path
    """Where local copies lie; it exists."""
    hold: Callable[[Path], Held]
    """Makes a folder for a copy if there is none, and locks it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """`storage_options`."""
    mapped: bool = True
    """As for `ArchiveReader.open`."""
    ahead: bool = False
    """Whether all weights will be needed, so that reading them begins with the code."""
    told: Told = _nothing
    """Called as bytes come."""
    waiting: Callable[[str], AbstractContextManager[None]] = lambda label: nullcontext()
    """Lasts while the first answer is waited for; called with the URL, without secrets."""


def open_remote(url: str, digest: str | None, opening: Opening) -> ArchiveReader:
    """Open a case that lies elsewhere, or an archive of torch.package.

    Args:
        url: Where it is.
        digest: The digest that it must have, which the caller compares. If a complete copy with this digest
            is here, no request is made.
        opening: How.

    Raises:
        FileNotFoundError, PermissionError, RemoteError: if it cannot be read.
        NotACaseError, CorruptCaseError: as for `ArchiveReader.open`.
    """
    with room_in(opening.folder):
        return _open_remote(url, digest, opening)


def _open_remote(url: str, digest: str | None, opening: Opening) -> ArchiveReader:
    if digest is not None and not LocalCopy.is_partial(opening.folder / digest / COPY):
        found = _open_copy(url, digest, lambda: connect(url, opening.options), opening)
        if found is not None:
            return found
    note = opening.folder / _URLS / url_key(url)
    known, name = _read_note(note)
    with opening.waiting(shown(url)):  # a source may ask its server as it is made
        source = connect(url, opening.options)
    for _ in range(2):
        try:
            with opening.waiting(shown(url)):
                tail = source.tail(_TAIL, known if name is not None else None)
        except NoRangesError:
            return _download(url, source, note, opening)
        if tail is None:
            assert name is not None  # else no version was named
            found = _open_copy(url, name, lambda: source, opening)
            if found is not None:
                return found
            name = None  # it was removed, or is damaged
            continue
        try:
            return _from_tail(url, source, tail, note, opening)
        except ChangedError:
            continue
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            raise RemoteError(
                f"{shown(url)} cannot be read: it has {tail.size:,} bytes, as its server says, and no file in"
                f" {opening.folder} may have so many",
                path=shown(url),
            ) from None
    raise RemoteError(f"{shown(url)} changes while it is read; try again", path=shown(url))


def open_copy_at(path: Path, opening: Opening) -> RemoteReader:
    """Open a local copy that is not complete by its path, as a process does whose parent has it open.

    What is missing comes from the URL it was made from, without `storage_options`; of a URL that may hold a
    secret nothing is noted, and then what is missing cannot be had.
    """
    try:
        url = path.with_name(_ORIGIN).read_text()
    except OSError:
        url = ""

    def source() -> Source:
        if url:
            return connect(url, opening.options)
        raise RemoteError(
            f"{path} is a copy of which not all is here, and its URL is not noted; open it by its URL",
            path=str(path),
        )

    held = opening.hold(path.parent)
    try:
        return _reader(url or str(path), path, source, opening, held.release)
    except BaseException:
        held.release()
        raise


def _open_copy(url: str, name: str, source: Callable[[], Source], opening: Opening) -> RemoteReader | None:
    """Open the copy of this name if there is one that is sound."""
    path = opening.folder / name / COPY
    if not path.exists():
        return None
    held = opening.hold(path.parent)
    try:
        reader = _reader(url, path, source, opening, held.release)
        try:
            found = reader.fingerprint
        except BaseException:
            reader.close()
            raise
        if found != name.partition("-")[0]:
            reader.close()
            raise CorruptCaseError("another case lies in its place", path=str(path), record=None)
        return reader
    except (FileNotFoundError, CaseError):
        # Removed in between, or damaged: it is read anew.
        with suppress(OSError):
            LocalCopy.discard(path)
        held.release()
        return None
    except BaseException:
        held.release()
        raise


def _reader(
    url: str,
    path: Path,
    source: Callable[[], Source],
    opening: Opening,
    release: Callable[[], None] = lambda: None,
    *,
    has_map: bool = True,
) -> RemoteReader:
    copy = LocalCopy(path, has_map=has_map)
    try:
        return RemoteReader(
            copy, source, shown(url), mapped=opening.mapped, told=opening.told, release=release
        )
    except BaseException:
        copy.close()
        raise


def _from_tail(url: str, source: Source, tail: Tail, note: Path, opening: Opening) -> ArchiveReader:
    """Make the copy of a case whose end was read."""
    with _new_file(opening.folder) as (descriptor, path):
        skeleton = _Skeleton(descriptor, tail, source, ahead=opening.ahead)
        try:
            here = skeleton.fill()
        except DamageError:
            skeleton.give_up()
            if not skeleton.is_package:
                # What it is instead, its first bytes tell, and the reader says.
                skeleton.write(0, min(_HEAD, skeleton.have))
                _reader(url, path, lambda: source, opening, has_map=False).close()
            return _download(url, source, note, opening)
        except BaseException:
            skeleton.give_up()
            raise
        # Only who fills the copy first has what is on its way.
        sources = [source, skeleton.early or source]
        try:
            return _put(
                url,
                lambda: sources.pop() if len(sources) > 1 else source,
                path,
                here,
                tail.version,
                note,
                opening,
            )
        except CorruptCaseError:
            if source.has_changed():  # a part of it is of another file
                raise ChangedError from None
            raise


def _download(url: str, source: Source, note: Path, opening: Opening) -> RemoteReader:
    """Make the copy of a file by reading all of it."""
    with _new_file(opening.folder) as (descriptor, path):

        def take(offset: int, part: bytes, total: int | None) -> None:
            if offset == 0:
                os.ftruncate(descriptor, 0)
                require_room(opening.folder, total or 0)
                if not part.startswith(layout.LOCAL_SIGNATURE):
                    write_at(descriptor, 0, part[:_HEAD])
                    raise _NoArchiveError
            write_at(descriptor, offset, part)
            opening.told(offset + len(part), total or 0)

        version = None
        try:
            with suppress(_NoArchiveError):
                version = source.download(take)
        finally:
            opening.told(0, 0)
        return _put(url, lambda: source, path, b"", version, note, opening)


class _NoArchiveError(Exception):
    """The data that come are no ZIP archive, so that the rest of them is not needed."""


def _put(
    url: str,
    source: Callable[[], Source],
    path: Path,
    here: bytes,
    version: str | None,
    note: Path,
    opening: Opening,
) -> RemoteReader:
    """Give a new copy its place, and open it.

    Args:
        url: Where it is from.
        source: Returns what gives the rest.
        path: All but the storages that are missing.
        here: For each storage 1 if it is there, else 0; empty if nothing is missing.
        version: What the server says tells it from others.
        note: Where that is noted.
        opening: How the URL is opened.
    """
    with _reader(url, path, source, opening, has_map=False) as reader:  # it checks all of the structure
        for record in reader.names:
            if not is_storage(record):  # a copy has no other code than what it is of
                reader.read(record)
        name = reader.fingerprint
        here = here or b"\1" * reader.storage_count
    if not _is_alike(opening.folder / name / COPY, path):
        name = f"{name}-{hashlib.sha256(_directory_of(path)).hexdigest()[:16]}"
    held = opening.hold(opening.folder / name)
    try:
        if url == shown(url):
            opening.folder.joinpath(name, _ORIGIN).write_text(url)
        found = _open_copy(url, name, source, opening)
        if found is None:
            LocalCopy.make(opening.folder / name / COPY, path, here)
            found = _open_copy(url, name, source, opening)
    finally:
        held.release()
    if found is None:
        raise RemoteError(
            f"{shown(url)}: its local copy below {opening.folder} is damaged as it is made", path=shown(url)
        )
    _write_note(note, version, name)
    return found


class _Skeleton:
    """A sparse file of which the end is there: all of a case but its storages.

    Args:
        descriptor: The file, empty.
        tail: What was read of it.
        source: What gives the rest.
        ahead: Whether reading of storages begins before that of the rest.
    """

    def __init__(self, descriptor: int, tail: Tail, source: Source, *, ahead: bool) -> None:
        self._descriptor, self._source, self._size = descriptor, source, tail.size
        os.ftruncate(descriptor, tail.size)
        self.have = tail.size - len(tail.data)
        """Where what is there begins; it goes to the end."""
        write_at(descriptor, self.have, tail.data)
        self.is_package = False
        """Whether it is an archive of torch.package, whose records lie in any order."""
        self._ahead = ahead
        self.early: EarlySource | None = None
        """Has the storages that are on their way."""

    def fill(self) -> bytes:
        """Read what follows the storages, and write their headers.

        Returns:
            For each storage 1 if it is there, else 0.

        Raises:
            DamageError: if it is no case; the reader tells why.
        """
        entries = self._entries()
        if entries[-1].name.partition(b"/")[2] != SEAL.encode():
            names = {entry.name.rpartition(b"/")[2] for entry in entries}
            self.is_package = b"extern_modules" in names
            raise DamageError("it is no case")
        root = entries[0].name.partition(b"/")[0]
        here = bytearray()
        offset, begin = 0, self.have
        if self._ahead:
            self.early = EarlySource(self._source, self._absent_storages(entries, root))
        for number, entry in enumerate(entries):
            if entry.offset != offset:
                raise DamageError("there is a gap between its records")
            if entry.name != storage_entry(root, number):
                self._back_to(offset)
                break
            # The header follows from the directory (the format, 1.10), and zeros are there already.
            header = layout.storage_header(entry.name, entry.crc, entry.size, offset)
            start = offset + len(header)
            if offset < begin:
                self._require(start <= self._size)
                write_at(self._descriptor, offset, header.rstrip(b"\0"))
            here.append(start >= begin or not entry.size)
            offset = start + entry.size
        if 0 in here:
            write_at(self._descriptor, 0, layout.PARTIAL_SIGNATURE)
        return bytes(here)

    def _absent_storages(self, entries: list[directory.Entry], root: bytes) -> Iterator[Span]:
        offset = 0
        for number, entry in enumerate(entries):
            if entry.offset != offset or entry.name != storage_entry(root, number):
                break
            start = offset + len(layout.storage_header(entry.name, entry.crc, entry.size, offset))
            offset = start + entry.size
            if start < self.have:
                self._require(offset <= self._size)
                yield Span(start, offset)

    def give_up(self) -> None:
        """Read no further."""
        if self.early is not None:
            self.early.give_up()

    def _entries(self) -> list[directory.Entry]:
        """Return the entries of the directory, which is read if it is not there."""
        for _ in range(2):
            self._require(self._size > 0)
            with mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as data:
                end = directory.find_end(data)
                self._require(end >= self.have)
                found = directory.read_directory(data, end)
            if found.start >= self.have:
                break
            self._back_to(found.start)
        entries = directory.read_entries(found)
        self._require(bool(entries))
        return entries

    def _require(self, condition: bool) -> None:
        if not condition:
            raise DamageError("it is no archive")

    def _back_to(self, start: int) -> None:
        """Read what lies from *start* to what is there."""
        if start < self.have:
            self.write(start, self.have)
            self.have = start

    def write(self, start: int, stop: int) -> None:
        """Read a part of the file to its place."""
        if start < stop:
            write_at(self._descriptor, start, self._source.read(start, stop))


@contextmanager
def _new_file(folder: Path) -> Iterator[tuple[int, Path]]:
    """Make a file for a new copy; what is left of it at the end is removed."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".making-")
    try:
        yield descriptor, Path(name)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(name)


def _is_alike(copy: Path, new: Path) -> bool:
    """Tell whether a copy that is there has the layout of a new one: another writer may deflate otherwise."""
    try:
        return _directory_of(copy) == _directory_of(new)
    except (FileNotFoundError, ValueError, DamageError):  # ValueError: it is empty
        return True


def _directory_of(path: Path) -> bytes:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return directory.read_directory(data, directory.find_end(data)).block


def _read_note(note: Path) -> tuple[str | None, str | None]:
    """Return which version a URL had, and the name of its copy."""
    try:
        version, name = json.loads(note.read_text())
    except (OSError, ValueError):
        return None, None
    return (version, name) if isinstance(version, str) and isinstance(name, str) else (None, None)


def _write_note(note: Path, version: str | None, name: str) -> None:
    if version is None:
        return
    # Without the note the end of the file is read again; that is all.
    with suppress(OSError):
        note.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(descriptor, "w") as file:
            json.dump([version, name], file)
        os.replace(made, note)
