"""The archive reader over a local copy that fills in."""

from __future__ import annotations

import contextlib
import mmap
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from wardian.archive import layout
from wardian.archive.content import Content, FileParts
from wardian.archive.reader import ArchiveReader
from wardian.archive.remote.copies import LocalCopy, Told
from wardian.archive.remote.ranges import Span
from wardian.archive.remote.sources import ChangedError, NoRangesError, Source
from wardian.archive.remote.urls import stem_of
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage
from wardian.errors import CorruptCaseError, RemoteError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["RemoteReader"]


class RemoteReader(ArchiveReader):
    """Read a case that lies elsewhere: all but its storages is here, and those come when they are asked for.

    What is not here is never given as zeros, whether it is checked or not.

    Args:
        copy: The local copy.
        source: Returns what gives the rest; called when something is missing.
        label: The URL, without secrets.
        mapped: Map the copy; else it is read in parts.
        told: Called as bytes come.
        release: Called when the reader is closed.
    """

    def __init__(
        self,
        copy: LocalCopy,
        source: Callable[[], Source],
        label: str,
        *,
        mapped: bool = True,
        told: Told = lambda done, total: None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._copy = copy
        self._source = source
        self._told = told
        self._release = release
        self._storages: list[RecordName] = []
        self._starts: list[int] = []
        self._came: set[RecordName] = set()
        descriptor = copy.descriptor()
        try:
            size = os.fstat(descriptor).st_size
            data = (
                mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
                if mapped and size
                else FileParts(descriptor, size)
            )
        except BaseException:
            os.close(descriptor)
            raise
        super().__init__(Content(data, copy.path, descriptor), label)
        self._storages = [name for name in self.names if is_storage(name)]
        self._numbers = {name: number for number, name in enumerate(self._storages)}
        self._starts = [self._records[name].offset for name in self._storages]
        if copy.count not in (None, len(self._storages)):
            super().close()
            raise CorruptCaseError(f"{label}: the map of its local copy is damaged", path=label, record=None)

    @property
    def storage_count(self) -> int:
        """How many storages there are."""
        return len(self._storages)

    @property
    def stem(self) -> str:
        """The name of the file in the URL without its ending."""
        return stem_of(self.label)

    def absent(self) -> frozenset[RecordName]:
        """Return the records that are not here yet."""
        if self._copy.is_complete:
            return frozenset()
        return frozenset(name for name, number in self._numbers.items() if not self._copy.has(number))

    def fetch(self, names: Iterable[RecordName]) -> None:
        """Bring what is missing of records here, each checked when it comes.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: if what came is not what the case says.
            RemoteError, OSError: if it cannot be read.
        """
        self._require_opened()
        names = list(names)
        wanted = {}
        for name in names:
            record, number = self._records[name], self._numbers.get(name)
            if number is not None and not self._copy.has(number):
                wanted[number] = Span(record.offset, record.offset + record.size)
        if not wanted:
            super().fetch(names)  # the cache folder may be on a network disk
            return
        source = self._source()
        try:
            self._copy.fill(wanted, source.read, self._arrived, self._told)
        except ChangedError:
            raise self._changed() from None
        except CorruptCaseError:
            if source.has_changed():
                raise self._changed() from None
            raise
        except NoRangesError:
            raise RemoteError(
                f"{self.label}: the server gives no parts of files any more; open it again", path=self.label
            ) from None

    def _changed(self) -> RemoteError:
        return RemoteError(
            f"{self.label} is another file by now than the one that was opened (digest {self.digest});"
            " open it again",
            path=self.label,
        )

    def _arrived(self, number: int) -> None:
        """Check a storage that was written to the copy."""
        name = self._storages[number]
        record = self._records[name]
        if self._view is None:
            self._expected.check_parts(name, self._blocks(record), crc=False)
        else:
            self.check(name, self._raw_part(record.offset, record.offset + record.size))
        self._came.add(name)

    def read(self, name: RecordName) -> bytes:
        """Return the content of a record, checked, as `ArchiveReader.read`."""
        try:
            return super().read(name)
        except CorruptCaseError:
            self._drop(name)
            raise

    def _drop(self, name: RecordName) -> None:
        """Let who opens the URL next make a new copy, if what is damaged cannot be read again by itself."""
        if name not in self._numbers and self._copy.count is not None:
            with contextlib.suppress(OSError):
                LocalCopy.discard(self._copy.path)

    def verify(self, name: RecordName, *, crc: bool = False) -> None:
        """Check the whole content of one record, which is read again once if the copy of it is damaged."""
        self._require_opened()
        self.fetch([name])
        if name in self._came and not crc:
            self._came.discard(name)  # it was checked when it came
            return
        try:
            super().verify(name, crc=crc)
        except CorruptCaseError as damaged:
            number = self._numbers.get(name)
            if number is None:
                self._drop(name)
                raise
            self._copy.forget(number)
            try:
                self.fetch([name])
            except RemoteError as error:
                if isinstance(error.__context__, NoRangesError):  # all came at once, and comes so again
                    LocalCopy.discard(self._copy.path)
                    raise damaged from None
                raise
            super().verify(name, crc=crc)

    def read_into(self, name: RecordName, target: Buffer, start: int = 0) -> None:
        """Fill *target* from a stored record, as `ArchiveReader.read_into`."""
        self.fetch([name])
        super().read_into(name, target, start)

    def identity(self) -> str | None:
        """Return what tells the file from others; that it fills in is no change."""
        if self._copy.is_complete:
            return super().identity()
        held = self.held()
        return None if held is None else f"{held[0]}:{held[1]}:{len(self)}"

    def is_unchanged(self) -> bool:
        """Say whether `path` still leads to the copy; that it fills in is no change."""
        held = self.held()
        with contextlib.suppress(OSError):
            status = os.stat(self._copy.path)
            return held == (status.st_dev, status.st_ino)
        return False

    def close(self) -> None:
        """Let the file go."""
        if not self._closed:
            super().close()
            self._copy.close()
            self._release()

    def _parse(self, data: bytes | mmap.mmap | FileParts) -> None:
        super()._parse(_Whole(data) if data[:4] == layout.PARTIAL_SIGNATURE else data)

    def _part(self, start: int, stop: int) -> bytes | memoryview:
        if not self._copy.is_complete and self._starts:
            first = max(0, bisect_right(self._starts, start) - 1)
            overlapped = self._storages[first : bisect_left(self._starts, stop)]
            ends = (self._records[name].offset + self._records[name].size for name in overlapped)
            self.fetch(name for name, end in zip(overlapped, ends, strict=True) if end > start)
        part = self._raw_part(start, stop)
        return part if start or self._copy.is_complete else _begun(bytes(part))


class _Whole(FileParts):
    """A copy of which not all is here, with the first bytes of the archive that it will be."""

    def __init__(self, data: bytes | mmap.mmap | FileParts) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, part: slice) -> bytes:
        content = self._data[part]
        return content if part.start else _begun(content)

    def rfind(self, part: bytes, start: int) -> int:
        return self._data.rfind(part, start)


def _begun(content: bytes) -> bytes:
    """Return the start of a copy as it is in the archive."""
    if not content.startswith(layout.PARTIAL_SIGNATURE):
        return content
    return layout.LOCAL_SIGNATURE + content[len(layout.PARTIAL_SIGNATURE) :]
