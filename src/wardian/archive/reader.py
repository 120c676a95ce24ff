"""The reader of cases, and of archives that torch.package wrote.

It reads ZIP by itself, with `struct`, for the reasons given in `wardian.archive.layout`. Opening a file
checks all of its structure: names, order, every header, limits, the seal. What a record holds is checked
when it is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from wardian.archive import layout
from wardian.archive.ahead import read_ahead
from wardian.archive.central_directory import DamageError, Record
from wardian.archive.content import Content, open_content, read_at
from wardian.archive.descriptors import is_on_network, nothing_read_ahead
from wardian.archive.digests import digest_of
from wardian.archive.expected_digests import ExpectedDigests
from wardian.archive.file import ArchiveFile
from wardian.archive.inflating import inflate, inflate_beginning, inflate_parts
from wardian.archive.structure import Kind, OtherKindError, read_structure
from wardian.collector import collector_paused
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName
from wardian.domain.record_names import MANIFEST, SEAL, is_storage

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from wardian.archive.central_directory import Source

__all__ = ["ArchiveReader"]

_BEGINNING = 1 << 10
"""Deflated bytes that are enough for the first few of a record: a dynamic block begins with its codes."""


# Above 300 lines: a third of them are docstrings, and each method is one question that is asked of a record.
class ArchiveReader(ArchiveFile):
    """Read one archive; `ArchiveReader.open` makes it.

    Many threads may use a reader at once. The file may be replaced or unlinked while it is open: what was
    opened is read on. A small file is read when it is opened, a large one mapped, unless that is not wished;
    one that is mapped must not be overwritten in place.

    Attributes:
        kind: `"case"`, or `"torch.package"` for an archive of that library.
        path: The file as an absolute path; None if it was read from memory.
        label: What messages call it: the path, `<memory>`, or a URL.
        names: The records in file order, without the root folder.
        digest: The digest of the case, checked against the manifest; None for torch.package.
        manifest: The bytes of the manifest, checked against the seal; empty for torch.package.

    >>> from wardian.archive.writer import ArchiveWriter
    >>> with ArchiveWriter("resnet18.case") as archive:
    ...     archive.add(RecordName("mylib/models/resnet.py"), b"class ResNet: ...")
    ...     _ = archive.finish(lambda digests: b"{}")
    ...     archive.publish()
    >>> with ArchiveReader.open("resnet18.case") as archive:
    ...     archive.read(RecordName("mylib/models/resnet.py"))
    b'class ResNet: ...'
    """

    kind: Kind
    names: tuple[RecordName, ...]
    digest: str | None
    manifest: bytes

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
        *,
        mapped: bool = True,
    ) -> ArchiveReader:
        """Open an archive and check its structure.

        Args:
            source: A path, the content itself, or a binary file. A file without a path is read from its
                start into memory.
            mapped: Map a large file; else it is read in parts, so that nothing bad happens to this process
                if the file is cut short meanwhile.

        Raises:
            TypeError: if *source* is anything else.
            FileNotFoundError: if there is no such file.
            IsADirectoryError: if it is a folder.
            NotACaseError: if it is another kind of file; the message names it and what loads it.
            CorruptCaseError: if it is a case that is truncated, damaged or altered.
        """
        return cls(open_content(source, mapped=mapped))

    def __init__(self, content: Content, label: str | None = None) -> None:
        """Check the structure of *content*, which messages call *label*; `open` is the way in."""
        super().__init__(content, label)
        self._records: dict[RecordName, Record] = {}
        self._ahead: set[RecordName] = set()
        try:
            self._parse(content.data)
        except BaseException:
            self.close()
            raise

    @collector_paused()
    def _parse(self, data: Source) -> None:
        try:
            self.kind, self._records = read_structure(data)
        except DamageError as damage:
            raise self._refusals.corrupt(damage.reason, damage.record) from None
        except OtherKindError as other:
            raise self._refusals.other_kind(str(other)) from None
        self._expected = ExpectedDigests(self.kind, self._records, self._refusals)
        self.names = tuple(self._records)
        self.digest = None
        self.manifest = b""
        if self.kind == "case":
            self.manifest = self.read(MANIFEST)
            self.digest = hashlib.sha256(self.manifest).hexdigest()
            if self.read(SEAL) != f"{self.digest}\n".encode():
                raise self._refusals.corrupt("the seal is not the SHA-256 of the manifest", MANIFEST)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of a case; of an archive of torch.package a SHA-256 of the whole file.

        It is what tells archives apart.
        """
        return self.digest if self.digest is not None else self.sha256()

    @cached_property
    def outline(self) -> str:
        """The digest of a case; of an archive of torch.package a SHA-256 of its directory.

        Archives with different outlines are different. Those of torch.package with one outline need not be
        the same: their directories hold no more than names, sizes and CRC-32.
        """
        if self.digest is not None:
            return self.digest
        listing = "".join(f"{name}\0{r.size}\0{r.crc}\n" for name, r in sorted(self._records.items()))
        return hashlib.sha256(listing.encode()).hexdigest()

    def expect(self, digests: Mapping[RecordName, RecordDigest]) -> None:
        """Set what every record must hash to, from now on.

        Args:
            digests: The table of the manifest: every record but manifest and seal.

        Raises:
            CorruptCaseError: if the table does not name exactly the records there are, with their
                sizes and the algorithm of their kind (docs/reference/format.md, 3.2, 3.4).
        """
        self._require_opened()
        self._expected.replace(digests)

    def pin(self, names: Iterable[RecordName]) -> None:
        """Let records that have no digest stay what they are now: another content is refused from now on.

        Raises:
            CorruptCaseError: if one is damaged.
        """
        for name in names:
            if name not in self._expected:
                self._expected.add(name, self._digest_now(name, self._records[name]))

    def _digest_now(self, name: RecordName, record: Record) -> RecordDigest:
        """Return the digest of what a record holds now, without holding all of it."""
        self._require_opened()
        self.require_whole()
        packed: bytes | memoryview = self._part(record.offset, record.offset + record.packed)
        if record.method == layout.STORED:
            return digest_of(packed, "sha256")
        hasher, size = hashlib.sha256(), 0
        try:
            for part in inflate_parts(packed, record.size, self._block):
                hasher.update(part)
                size += len(part)
        except DamageError as damage:
            raise self._refusals.corrupt(damage.reason, name) from None
        return RecordDigest(size, "sha256", hasher.hexdigest())

    def __contains__(self, name: object) -> bool:
        """Say whether there is a record of this name."""
        self._require_opened()
        return name in self._records

    def size(self, name: RecordName) -> int:
        """Return the size of a record before deflating, in bytes.

        Raises:
            KeyError: if there is no such record.
        """
        self._require_opened()
        return self._records[name].size

    def read(self, name: RecordName) -> bytes:
        """Return the content of a record, checked.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: if it does not inflate to its size, or if its CRC-32 or its digest (once
                `expect` has set it) is another; or the file was cut short since it was opened.
        """
        self._require_opened()
        record = self._records[name]
        self.require_whole()
        packed = self._part(record.offset, record.offset + record.packed)
        if record.method == layout.STORED:
            content = bytes(packed)
        else:
            try:
                content = inflate(packed, record.size)
            except DamageError as damage:
                raise self._refusals.corrupt(damage.reason, name) from None
        self.check(name, content, crc=True)
        return content

    def begins(self, name: RecordName, size: int) -> bytes:
        """Return the first *size* bytes of a record, or all that it has, unchecked; no more is inflated.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: if it does not inflate.
        """
        self._require_opened()
        record = self._records[name]
        if record.method == layout.STORED:
            return bytes(self._part(record.offset, record.offset + min(size, record.size)))
        # Of a stream that ends so soon a few bytes more are needed.
        packed = self._part(record.offset, record.offset + min(record.packed, size + _BEGINNING))
        try:
            return inflate_beginning(packed, size)
        except DamageError as damage:
            raise self._refusals.corrupt(damage.reason, name) from None

    def absent(self) -> frozenset[RecordName]:
        """Return the records that are not here, and come when they are read: of a file none."""
        return frozenset()

    def fetch(self, names: Iterable[RecordName]) -> None:
        """Bring records here that are not; those that are needed together come faster together.

        Of a file that is mapped from a network disk they are read ahead, once; of others nothing is done.
        """
        if self.reads_ahead:
            new = {name for name in names if is_storage(name)} - self._ahead
            self._ahead |= new
            found = (self._records[name] for name in new)
            assert self.descriptor is not None
            read_ahead(self.descriptor, [(record.offset, record.packed) for record in found])

    @cached_property
    def reads_ahead(self) -> bool:
        """Whether records are better read before they are used: the file is mapped from a network disk."""
        return self._view is not None and not self.is_in_memory and is_on_network(self.descriptor)

    def location(self, name: RecordName) -> tuple[int, int]:
        """Return where a stored record lies, to be mapped.

        Returns:
            Offset of the content in the file and its size, in bytes.

        Raises:
            KeyError: if there is no such record.
            ValueError: if the record is deflated.
        """
        self._require_opened()
        record = self._stored(name)
        return record.offset, record.size

    def view(self, name: RecordName) -> bytes | memoryview:
        """Return the content of a stored record without checking it; without copying it where it is mapped.

        A view is read-only. It must not be in use when the reader is closed.

        Raises:
            KeyError: if there is no such record.
            ValueError: if the record is deflated.
        """
        self._require_opened()
        record = self._stored(name)
        return self._part(record.offset, record.offset + record.size)

    def read_into(self, name: RecordName, target: Buffer, start: int = 0) -> None:
        """Fill *target* from a stored record of the file, without checking it.

        Of a part of a record no more of the file is read than goes there, nor read ahead.

        Args:
            name: The record.
            target: Of the size that is wanted, in bytes.
            start: Where that begins in the record, in bytes.

        Raises:
            KeyError: if there is no such record.
            ValueError: if the record is deflated, or ends before.
            CorruptCaseError: if the file was cut short since it was opened.
        """
        self._require_opened()
        record = self._stored(name)
        size = memoryview(target).nbytes
        if not 0 <= start <= start + size <= record.size:
            raise ValueError(f"the record {name!r} has no {size:,} bytes from {start:,} on")
        place = record.offset + start
        if self.is_in_memory or self.descriptor is None:
            memoryview(target)[:] = self._part(place, place + size)
            return
        is_part = size < record.size
        with nothing_read_ahead(self.descriptor) if is_part else nullcontext():
            read = read_at(self.descriptor, place, target)
        if read != size:
            raise self._refusals.corrupt("it was cut short since it was opened", name)

    def verify(self, name: RecordName, *, crc: bool = False) -> None:
        """Check the whole content of one record; a storage with all cores and without copying it.

        Args:
            name: The record.
            crc: Also compute the CRC-32 of a storage whose digest is checked. It protects nothing
                further, but other ZIP readers rely on it; it halves the speed.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: as for `read`.
        """
        self._require_opened()
        record = self._records[name]
        if record.method != layout.STORED or not is_storage(name):
            self.read(name)
        elif self._view is not None or record.size <= self._block:
            self.check(name, self.view(name), crc=crc)
        else:
            self._expected.check_parts(name, self._blocks(record), crc=crc)

    def check(self, name: RecordName, content: bytes | memoryview, *, crc: bool = False) -> None:
        """Check what was read of a record.

        Args:
            name: The record.
            content: All of its bytes.
            crc: Compute the CRC-32 of one that has a digest, too.

        Raises:
            CorruptCaseError: if its CRC-32 or its digest is another.
        """
        self._expected.check(name, content, crc=crc)

    def _blocks(self, record: Record) -> Iterator[bytes | memoryview]:
        stop = record.offset + record.size
        for start in range(record.offset, stop, self._block):
            yield self._raw_part(start, min(stop, start + self._block))

    def _stored(self, name: RecordName) -> Record:
        record = self._records[name]
        if record.method != layout.STORED:
            raise ValueError(f"the record {name!r} is deflated; it has no place to be mapped from")
        return record
