"""The reader of cases, and of archives that torch.package wrote.

It reads ZIP by itself, with `struct`, for the reasons given in `wardian.archive.layout`. Opening a file
checks all of its structure: names, order, every header, limits, the seal. What a record holds is checked
when it is read.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, Self

from wardian.archive import central_directory as directory
from wardian.archive import identify as kinds
from wardian.archive import layout
from wardian.archive.ahead import read_ahead
from wardian.archive.central_directory import DamageError, Record
from wardian.archive.content import Content, FileParts, open_content, read_at
from wardian.archive.crc import crc32
from wardian.archive.descriptors import is_on_network, nothing_read_ahead
from wardian.archive.digests import digest_of, new_blake3
from wardian.collector import collector_paused
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName
from wardian.errors import ClosedCaseError, CorruptCaseError, NotACaseError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from wardian.archive.central_directory import Source

__all__ = ["ArchiveReader"]

_END_OF_A_CASE = b"/" + layout.SEAL.encode()
_EXTERN_MODULES = b".data/extern_modules"
_BEGINNING = 1 << 10
"""Deflated bytes that are enough for the first few of a record: a dynamic block begins with its codes."""
_BLOCK = 32 << 20
"""Bytes that are read at once of a record that is not mapped."""


class ArchiveReader:
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

    kind: Literal["case", "torch.package"]
    path: Path | None
    label: str
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
        self.path = content.path
        self.label = label or str(content.path or "<memory>")
        self._content = content
        self._closed = False
        self._view = memoryview(content.data) if not isinstance(content.data, FileParts) else None
        self._records: dict[RecordName, Record] = {}
        self._expected: dict[RecordName, RecordDigest] = {}
        self._ahead: set[RecordName] = set()
        try:
            self._parse(content.data)
        except BaseException:
            self.close()
            raise

    @collector_paused()
    def _parse(self, data: Source) -> None:
        try:
            self.kind, self._records = self._read_structure(data)
        except DamageError as damage:
            raise self._corrupt(damage.reason, damage.record) from None
        self.names = tuple(self._records)
        self.digest = None
        self.manifest = b""
        if self.kind == "case":
            self.manifest = self.read(layout.MANIFEST)
            self.digest = hashlib.sha256(self.manifest).hexdigest()
            if self.read(layout.SEAL) != f"{self.digest}\n".encode():
                raise self._corrupt("the seal is not the SHA-256 of the manifest", layout.MANIFEST)

    def _read_structure(
        self, data: Source
    ) -> tuple[Literal["case", "torch.package"], dict[RecordName, Record]]:
        if data[:4] == layout.PARTIAL_SIGNATURE:
            raise DamageError("it is a local copy of which not all is here; open the case by its URL")
        first = directory.first_name(data)
        looks_right = first is not None and _is_ours(first)
        end = directory.find_end(data)
        if end < 0:
            if looks_right:
                raise DamageError("its end is missing; the file was cut short or something was appended")
            raise self._other_kind(kinds.describe(data))
        try:
            found = directory.read_directory(data, end)
            ends_right = found.block.endswith(_END_OF_A_CASE)
            entries = [] if ends_right else [entry.name for entry in directory.read_entries(found)]
        except DamageError:
            if looks_right:
                raise
            raise self._other_kind(kinds.describe(data)) from None
        below = {name.partition(b"/")[2] for name in entries}
        if ends_right or layout.SEAL.encode() in below or layout.MANIFEST.encode() in below:
            return "case", directory.case_records(data, found)
        if looks_right and first not in entries:
            raise DamageError("another archive was appended")
        if _EXTERN_MODULES in below:
            return "torch.package", directory.package_records(data, found)
        if {b"extern_modules", b"version"} <= below:  # the prototype in torch 1.8
            records = directory.package_records(data, found)
            return "torch.package", {_name_since_1_9(name): record for name, record in records.items()}
        raise self._other_kind(kinds.describe(data, entries))

    @cached_property
    def fingerprint(self) -> str:
        """The digest of a case; of an archive of torch.package a SHA-256 of the whole file.

        It is what tells archives apart.
        """
        return self.digest if self.digest is not None else self.sha256()

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, in hexadecimal digits; it is read to its end."""
        self._require_opened()
        hasher = hashlib.sha256()
        for start in range(0, self._content.size, _BLOCK):
            hasher.update(self._part(start, min(start + _BLOCK, self._content.size)))
        return hasher.hexdigest()

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

    def is_unchanged(self) -> bool:
        """Say whether `path` still leads to the file that was opened."""
        return self._content.is_at_path()

    def find_place(self) -> str | None:
        """Return a path by which another process can open the very file; None if there is none.

        Where the file was removed, or another has its name by now, Linux shows what this process holds.
        """
        if self.is_unchanged():
            return str(self.path)
        if self.descriptor is None or not sys.platform.startswith("linux"):
            return None
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @property
    def stem(self) -> str:
        """The name of the file without its ending, which names of packages begin with."""
        return "memory" if self.path is None else self.path.stem

    @property
    def descriptor(self) -> int | None:
        """The file that was opened, to be read or mapped; None if there was none."""
        return self._content.descriptor

    def held(self) -> tuple[int, int] | None:
        """Return device and inode of the file that was opened; None if there was none."""
        status = self._content.status()
        return None if status is None else (status.st_dev, status.st_ino)

    def stamp(self) -> str | None:
        """Return what tells the file from others, and from itself after a change; None if it is in memory."""
        now = self._content.identity(at_path=True)
        return None if now is None else ":".join(map(str, now))

    def identity(self) -> str | None:
        """Return the same of the open file as it is by now, wherever its path leads."""
        now = self._content.identity()
        return None if now is None else ":".join(map(str, now))

    @property
    def is_in_memory(self) -> bool:
        """Whether all was read when it was opened: what happens to the file does not change it."""
        return isinstance(self._content.data, bytes)

    def reload(self) -> None:
        """Take what the file holds by now, if it was read when it was opened; its structure stays.

        Raises:
            CorruptCaseError: if it was cut short.
        """
        if not self._content.reload():
            raise self._corrupt("it was cut short since it was opened", None)
        if isinstance(self._content.data, bytes):
            self._view = memoryview(self._content.data)

    @property
    def content_digest(self) -> str:
        """The BLAKE3 of all that was read of a file that is in memory."""
        assert isinstance(self._content.data, bytes)
        return digest_of(self._content.data, "blake3").hex

    def whole(self) -> bytes | memoryview:
        """Return the content of the archive; without copying it where it is mapped or in memory."""
        self._require_opened()
        return self._part(0, self._content.size)

    def part(self, start: int, stop: int) -> bytes | memoryview:
        """Return what lies at these places of the archive, unchecked; as `whole`."""
        self._require_opened()
        return self._part(start, stop)

    def expect(self, digests: Mapping[RecordName, RecordDigest]) -> None:
        """Set what every record must hash to, from now on.

        Args:
            digests: The table of the manifest: every record but manifest and seal.

        Raises:
            CorruptCaseError: if the table does not name exactly the records there are, with their
                sizes and the algorithm of their kind (docs/reference/format.md, 3.2, 3.4).
        """
        self._require_opened()
        named = self.names[:-2] if self.kind == "case" else self.names
        for name in named:
            wanted = digests.get(name)
            if wanted is None:
                raise self._corrupt("the manifest does not name it", name)
            if wanted.size != self._records[name].size:
                raise self._corrupt(
                    f"it has {self._records[name].size:,} bytes, the manifest says {wanted.size:,}", name
                )
            if (wanted.algorithm == "blake3") is not bool(layout.STORAGE_NAME.fullmatch(name)):
                raise self._corrupt(f"the manifest gives its digest as {wanted.algorithm}", name)
        if len(digests) != len(named):
            missing = next(iter(digests.keys() - set(named)))
            raise self._corrupt("the manifest names it, but it is not in the archive", missing)
        self._expected = dict(digests)

    def pin(self, names: Iterable[RecordName]) -> None:
        """Let records that have no digest stay what they are now: another content is refused from now on.

        Raises:
            CorruptCaseError: if one is damaged.
        """
        for name in names:
            if name not in self._expected:
                self._expected[name] = self._digest_now(name, self._records[name])

    def _digest_now(self, name: RecordName, record: Record) -> RecordDigest:
        """Return the digest of what a record holds now, without holding all of it."""
        self._require_opened()
        self.require_whole()
        packed: bytes | memoryview = self._part(record.offset, record.offset + record.packed)
        if record.method == layout.STORED:
            return digest_of(packed, "sha256")
        inflater, hasher, size = zlib.decompressobj(-zlib.MAX_WBITS), hashlib.sha256(), 0
        while not inflater.eof and size <= record.size:
            part = self._inflated(name, inflater, packed, _BLOCK)
            if not part:
                break
            hasher.update(part)
            size += len(part)
            packed = inflater.unconsumed_tail
        return RecordDigest(size, "sha256", hasher.hexdigest())

    def __len__(self) -> int:
        """Return the size of the archive in bytes."""
        return self._content.size

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
        content = bytes(packed) if record.method == layout.STORED else self._inflate(name, record, packed)
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
        return self._inflated(name, zlib.decompressobj(-zlib.MAX_WBITS), packed, size)

    def absent(self) -> frozenset[RecordName]:
        """Return the records that are not here, and come when they are read: of a file none."""
        return frozenset()

    def fetch(self, names: Iterable[RecordName]) -> None:
        """Bring records here that are not; those that are needed together come faster together.

        Of a file that is mapped from a network disk they are read ahead, once; of others nothing is done.
        """
        if self.reads_ahead:
            new = {name for name in names if layout.STORAGE_NAME.fullmatch(name)} - self._ahead
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
            raise self._corrupt("it was cut short since it was opened", name)

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
        if record.method != layout.STORED or not layout.STORAGE_NAME.fullmatch(name):
            self.read(name)
        elif self._view is not None or record.size <= _BLOCK:
            self.check(name, self.view(name), crc=crc)
        else:
            self._check_parts(name, record, crc=crc)

    def check(self, name: RecordName, content: bytes | memoryview, *, crc: bool = False) -> None:
        """Check what was read of a record.

        Args:
            name: The record.
            content: All of its bytes.
            crc: Compute the CRC-32 of one that has a digest, too.

        Raises:
            CorruptCaseError: if its CRC-32 or its digest is another.
        """
        wanted = self._expected.get(name)
        if (crc or wanted is None) and crc32(content) != self._records[name].crc:
            raise self._wrong_crc(name)
        if wanted is not None and digest_of(content, wanted.algorithm).hex != wanted.hex:
            raise self._wrong_digest(name, wanted)

    def require_whole(self) -> None:
        """Check that the file is as long as it was: to use what is mapped behind its end kills the process.

        Raises:
            CorruptCaseError: if it was cut short.
        """
        if self._content.is_cut():
            raise self._corrupt("it was cut short since it was opened", None)

    def _check_parts(self, name: RecordName, record: Record, *, crc: bool) -> None:
        """Check a storage that is not mapped, of which not all is held in memory."""
        wanted = self._expected.get(name)
        found, hasher = 0, None if wanted is None else new_blake3(all_cores=True)
        for part in self._blocks(record):
            if crc or wanted is None:
                found = crc32(part, found)
            if hasher is not None:
                hasher.update(part)
        if (crc or wanted is None) and found != record.crc:
            raise self._wrong_crc(name)
        if hasher is not None and wanted is not None and hasher.hexdigest() != wanted.hex:
            raise self._wrong_digest(name, wanted)

    def _blocks(self, record: Record) -> Iterator[bytes | memoryview]:
        stop = record.offset + record.size
        for start in range(record.offset, stop, _BLOCK):
            yield self._raw_part(start, min(stop, start + _BLOCK))

    def close(self) -> None:
        """Let the file go; every other method then raises `ClosedCaseError`.

        A view that is in use all the same stays valid and keeps the file mapped.
        """
        self._closed = True
        self._view = None
        self._content.close()

    def __enter__(self) -> Self:
        self._require_opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_opened(self) -> None:
        if self._closed:
            raise ClosedCaseError(f"{self._label()} was closed; open it again", path=self._path_text())

    def _part(self, start: int, stop: int) -> bytes | memoryview:
        """Return what lies at these places of the archive."""
        return self._raw_part(start, stop)

    def _raw_part(self, start: int, stop: int) -> bytes | memoryview:
        """Return it as it is in the file."""
        # Threads hold the view they were given; one that is closed meanwhile still works to the end.
        view, data = self._view, self._content.data
        if view is not None:
            return view[start:stop]
        self._require_opened()
        assert isinstance(data, FileParts)
        return data[start:stop]

    def _stored(self, name: RecordName) -> Record:
        record = self._records[name]
        if record.method != layout.STORED:
            raise ValueError(f"the record {name!r} is deflated; it has no place to be mapped from")
        return record

    def _inflate(self, name: RecordName, record: Record, packed: bytes | memoryview) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        # One byte more than there should be, to see that the stream ends; no bomb gets further.
        content = self._inflated(name, inflater, packed, record.size + 1)
        if len(content) != record.size or not inflater.eof or inflater.unused_data:
            raise self._corrupt(f"it does not inflate to exactly {record.size:,} bytes", name)
        return content

    def _inflated(
        self, name: RecordName, inflater: zlib._Decompress, packed: bytes | memoryview, most: int
    ) -> bytes:
        try:
            return inflater.decompress(packed, most)
        except zlib.error as error:
            raise self._corrupt(f"it does not inflate: {error}", name) from None

    def _wrong_crc(self, name: RecordName) -> CorruptCaseError:
        return self._corrupt("its content does not have its CRC-32", name)

    def _wrong_digest(self, name: RecordName, wanted: RecordDigest) -> CorruptCaseError:
        if self.kind == "torch.package":  # which has no digests
            return self._corrupt("its content is not what was judged", name)
        return self._corrupt(f"its content does not have the {wanted.algorithm} digest in the manifest", name)

    def _label(self) -> str:
        return "the case" if self.path is None else f"'{self.path}'"

    def _path_text(self) -> str | None:
        return None if self.path is None else str(self.path)

    def _corrupt(self, reason: str, record: str | None) -> CorruptCaseError:
        subject = "" if record is None else f"record {record!r}: "
        return CorruptCaseError(
            f"{self._label()} is damaged or was altered: {subject}{reason}. Get or pack it again.",
            path=self._path_text(),
            record=record,
        )

    def _other_kind(self, description: str) -> NotACaseError:
        return NotACaseError(
            f"{self._label()} is not a case and not an archive of torch.package: it is {description}",
            path=self._path_text(),
        )


def _name_since_1_9(name: RecordName) -> RecordName:
    """Return the name that a record of torch 1.8 has had since torch 1.9."""
    if name in ("extern_modules", "version"):
        return RecordName(f".data/{name}")
    number = name.removeprefix("data/")
    return RecordName(f".data/{number}.storage") if number != name and number.isdecimal() else name


def _is_ours(first: bytes) -> bool:
    """Say whether the first entry of an archive is that of a case or of torch.package."""
    return first.startswith(b"case/") or first.endswith(b"/.data/0.storage")
