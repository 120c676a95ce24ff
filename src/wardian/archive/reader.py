"""The reader of cases, and of archives that torch.package wrote.

It reads ZIP by itself, with `struct`, for the reasons given in `wardian.archive.layout`. Opening a file
checks all of its structure: names, order, every header, limits, the seal. What a record holds is checked
when it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import os
import stat
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, Self

from wardian.archive import directory, kinds, layout
from wardian.archive.crc import crc32
from wardian.archive.digests import RecordDigest, digest_of
from wardian.archive.directory import DamageError, Record
from wardian.collector import collector_paused
from wardian.errors import ClosedCaseError, CorruptCaseError, NotACaseError
from wardian.names import RecordName

if TYPE_CHECKING:
    from mmap import mmap as Mapped  # noqa: N812

__all__ = ["ArchiveReader"]

_END_OF_A_CASE = b"/" + layout.SEAL.encode()
_EXTERN_MODULES = b".data/extern_modules"


class ArchiveReader:
    """Read one archive; `ArchiveReader.open` makes it.

    Many threads may use a reader at once. The file is mapped: it may be replaced or unlinked while it is
    open, but must not be overwritten in place.

    Attributes:
        kind: `"case"`, or `"torch.package"` for an archive of that library.
        path: The file as an absolute path; None if it was read from memory.
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
    names: tuple[RecordName, ...]
    digest: str | None
    manifest: bytes

    @classmethod
    def open(
        cls, source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
    ) -> ArchiveReader:
        """Open an archive and check its structure.

        Args:
            source: A path, the content itself, or a binary file. A file without a path is read from its
                start into memory.

        Raises:
            TypeError: if *source* is anything else.
            FileNotFoundError: if there is no such file.
            IsADirectoryError: if it is a folder.
            NotACaseError: if it is another kind of file; the message names it and what loads it.
            CorruptCaseError: if it is a case that is truncated, damaged or altered.
        """
        return cls(*_load(source))

    def __init__(self, path: Path | None, data: bytes | Mapped) -> None:
        """Check the structure of *data*; `open` is the way in."""
        self.path = path
        self._status = None if path is None else _identity(path)
        self._data = data
        self._view: memoryview | None = memoryview(data)
        self._records: dict[RecordName, Record] = {}
        self._expected: dict[RecordName, RecordDigest] = {}
        try:
            self._parse(data)
        except BaseException:
            self.close()
            raise

    @collector_paused()
    def _parse(self, data: bytes | Mapped) -> None:
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
        self, data: bytes | Mapped
    ) -> tuple[Literal["case", "torch.package"], dict[RecordName, Record]]:
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
        return self.digest if self.digest is not None else hashlib.sha256(self._opened()).hexdigest()

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
        return self._status is not None and self.path is not None and _identity(self.path) == self._status

    def find_place(self) -> str | None:
        """Return a path by which another process can open the very file; None if there is none.

        Where the file was removed, or another has its name by now, Linux shows what this process holds.
        """
        if self.is_unchanged():
            return str(self.path)
        if self._status is None:
            return None
        folder = f"/proc/{os.getpid()}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                held = _identity(Path(folder, name))
                if held is not None and held[:2] == self._status[:2]:
                    return os.path.join(folder, name)
        return None

    def stamp(self) -> str | None:
        """Return what tells the file from others, and from itself after a change; None if it is in memory."""
        if self._status is None or self.path is None:
            return None
        now = _identity(self.path)
        if now is None or now[:2] != self._status[:2]:
            # Another file has its name. What is mapped has none by now, by which anyone could change it.
            now = self._status
        return ":".join(map(str, now))

    def whole(self) -> memoryview:
        """Return the content of the archive without copying it; as for `view`."""
        return self._opened()

    def expect(self, digests: Mapping[RecordName, RecordDigest]) -> None:
        """Set what every record must hash to, from now on.

        Args:
            digests: The table of the manifest: every record but manifest and seal.

        Raises:
            CorruptCaseError: if the table does not name exactly the records there are, with their
                sizes and the algorithm of their kind (docs/format.md, 3.2, 3.4).
        """
        self._opened()
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

    def __contains__(self, name: object) -> bool:
        """Say whether there is a record of this name."""
        self._opened()
        return name in self._records

    def size(self, name: RecordName) -> int:
        """Return the size of a record before deflating, in bytes.

        Raises:
            KeyError: if there is no such record.
        """
        self._opened()
        return self._records[name].size

    def read(self, name: RecordName) -> bytes:
        """Return the content of a record, checked.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: if it does not inflate to its size, or if its CRC-32 or its digest (once
                `expect` has set it) is another.
        """
        view = self._opened()
        record = self._records[name]
        packed = view[record.offset : record.offset + record.packed]
        content = bytes(packed) if record.method == layout.STORED else self._inflate(name, record, packed)
        self._check_crc(name, content)
        self._check_digest(name, content)
        return content

    def location(self, name: RecordName) -> tuple[int, int]:
        """Return where a stored record lies, to be mapped.

        Returns:
            Offset of the content in the file and its size, in bytes.

        Raises:
            KeyError: if there is no such record.
            ValueError: if the record is deflated.
        """
        self._opened()
        record = self._stored(name)
        return record.offset, record.size

    def view(self, name: RecordName) -> memoryview:
        """Return the content of a stored record without copying or checking it.

        The view is read-only. It must not be in use when the reader is closed.

        Raises:
            KeyError: if there is no such record.
            ValueError: if the record is deflated.
        """
        view = self._opened()
        record = self._stored(name)
        return view[record.offset : record.offset + record.size]

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
        self._opened()
        if self._records[name].method != layout.STORED or not layout.STORAGE_NAME.fullmatch(name):
            self.read(name)
            return
        content = self.view(name)
        if crc or name not in self._expected:
            self._check_crc(name, content)
        self._check_digest(name, content)

    def close(self) -> None:
        """Let the file go; every other method then raises `ClosedCaseError`.

        A view that is in use all the same stays valid and keeps the file mapped.
        """
        self._view = None
        if not isinstance(self._data, bytes):
            # With a view in use it is unmapped when that goes.
            with contextlib.suppress(BufferError):
                self._data.close()
        self._data = b""

    def __enter__(self) -> Self:
        self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> memoryview:
        # Threads hold the view they were given; one that is closed meanwhile still works to the end.
        view = self._view
        if view is None:
            raise ClosedCaseError(f"{self._label()} was closed; open it again", path=self._path_text())
        return view

    def _stored(self, name: RecordName) -> Record:
        record = self._records[name]
        if record.method != layout.STORED:
            raise ValueError(f"the record {name!r} is deflated; it has no place to be mapped from")
        return record

    def _inflate(self, name: RecordName, record: Record, packed: memoryview) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more than there should be, to see that the stream ends; no bomb gets further.
            content = inflater.decompress(packed, record.size + 1)
        except zlib.error as error:
            raise self._corrupt(f"it does not inflate: {error}", name) from None
        if len(content) != record.size or not inflater.eof or inflater.unused_data:
            raise self._corrupt(f"it does not inflate to exactly {record.size:,} bytes", name)
        return content

    def _check_crc(self, name: RecordName, content: bytes | memoryview) -> None:
        if crc32(content) != self._records[name].crc:
            raise self._corrupt("its content does not have its CRC-32", name)

    def _check_digest(self, name: RecordName, content: bytes | memoryview) -> None:
        wanted = self._expected.get(name)
        if wanted is not None and digest_of(content, wanted.algorithm).hex != wanted.hex:
            raise self._corrupt(
                f"its content does not have the {wanted.algorithm} digest in the manifest", name
            )

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


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_ours(first: bytes) -> bool:
    """Say whether the first entry of an archive is that of a case or of torch.package."""
    return first.startswith(b"case/") or first.endswith(b"/.data/0.storage")


def _load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
) -> tuple[Path | None, bytes | Mapped]:
    """Return the path, if there is one, and the content."""
    if isinstance(source, bytes):
        return None, source
    if isinstance(source, bytearray | memoryview):
        # A copy: it must stay what it was when it was checked.
        return None, bytes(source)
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return Path(source).absolute(), _content(file)
    if not callable(getattr(source, "read", None)):
        raise TypeError(
            f"a case is opened from a path, bytes or a binary file, not from {type(source).__name__}"
        )
    path = _real_path(source)
    if path is not None:
        source.flush()
        return path, _content(source)
    if source.seekable():
        source.seek(0)
    content = source.read()
    if not isinstance(content, bytes):
        raise TypeError(f"reading the file gives {type(content).__name__}; open it in binary mode")
    return None, content


def _real_path(file: BinaryIO) -> Path | None:
    """Return the path where the content of *file* lies, None if there is none."""
    # Only of these is it known that the file has the content: a GzipFile has a path, too.
    if type(file) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        return None
    if not isinstance(getattr(file, "name", None), str):  # a BufferedReader of something in memory
        return None
    try:
        same = os.path.samestat(Path(file.name).stat(), os.fstat(file.fileno()))
    except OSError:
        return None
    return Path(file.name).absolute() if same else None


def _content(file: BinaryIO) -> bytes | Mapped:
    """Map a file; read it if it is no regular file and cannot be mapped."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return file.read()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
