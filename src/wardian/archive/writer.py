"""The writer of cases.

Storages are written at once, as they come; a thread hashes what another writes, so that digests cost
almost no time; those of small ones are gathered and written together. Other records are small: they are
kept, sorted and deflated at the end, so that the same records give the same bytes whatever the order they
came in.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wardian.archive import layout, limits
from wardian.archive.batches import Batches, PackedRecord, pack_record
from wardian.archive.central_directory import manifest_fits
from wardian.archive.crc import crc32
from wardian.archive.digests import digest_of
from wardian.archive.replacing import ReplacingFile
from wardian.archive.streaming import Streams, small_content
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName, record_name
from wardian.domain.record_names import MANIFEST, SEAL, is_storage, storage_record

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ArchiveWriter"]

_BATCH = 1 << 20
"""Bytes that are gathered before they are written."""


class ArchiveWriter:
    """Write one case.

    Use it as a context manager: leaving it without `publish` removes the temporary file. A method that
    fails while it writes removes it at once. Not for use by several threads.

    Args:
        target: The file to make, a path. An existing file stays as it is until `publish`, which keeps its
            permissions; a symbolic link stays, and what it leads to is written.
        root: The folder of all records, one segment of a path.

    Attributes:
        path: The temporary file, in the folder of the target.
        target: The target as an absolute path.

    Raises:
        FileNotFoundError: if the folder of the target does not exist.
        IsADirectoryError: if the target is a folder.
        PermissionError: if the target may not be written, or no file be made in its folder.
        OSError: if the target is a device, or no file can be made for another reason.

    >>> with ArchiveWriter("resnet18.case") as archive:
    ...     offset = archive.add_storage(b"weights", 7)
    ...     archive.add(RecordName("mylib/models/resnet.py"), b"class ResNet: ...")
    ...     digest = archive.finish(lambda digests: b"{}")
    ...     archive.publish()
    >>> offset, digest[:8]
    (64, '44136fa3')
    """

    path: Path
    target: Path

    def __init__(self, target: str | os.PathLike[str], root: str = layout.ROOT) -> None:
        self._root = record_name(root) + "/"
        self._file = ReplacingFile(target)
        self.path, self.target = self._file.path, self._file.target
        self._end = 0
        self._written = 0
        # What `_end` counts and `_written` does not: it is not in the file yet.
        self._pending: list[bytes] = []
        self._central: list[bytes] = []
        self._digests: dict[RecordName, RecordDigest] = {}
        self._storages = 0
        self._storages_end = 0
        self._batches, self._streams = Batches(), Streams()
        self._finished = False
        self._gone = False

    def add_storage(self, data: Buffer | Iterable[Buffer], size: int) -> int:
        """Append the record `.data/<n>.storage`; *n* counts the calls, from 0.

        Args:
            data: The content: one contiguous buffer, or buffers to be joined. A buffer of an iterable
                is free to be used again once the next one is asked for.
            size: Bytes of the content.

        Returns:
            Where the content starts in the file, in bytes; it stays there when the file is published.

        Raises:
            ValueError: if *data* does not have *size* bytes. The temporary file is removed.
            OSError: if writing fails, such as on a full disk. The temporary file is removed.
        """
        self._require_unfinished()
        name = storage_record(self._storages)
        entry = (self._root + name).encode()
        offset = self._end
        try:
            content = small_content(data, size)
            if content is not None:
                crc, digest = crc32(content), digest_of(content, "blake3")
                header = layout.storage_header(entry, crc, size, offset)
                self._pending += header, content
                self._end += len(header) + size
                if self._end - self._written >= _BATCH:
                    self._write_pending()
            else:
                self._write(layout.storage_header(entry, 0, size, offset))
                crc, hexdigest = self._streams.copy(data, size, self._write)
                digest = RecordDigest(size, "blake3", hexdigest)
                header = layout.storage_header(entry, crc, size, offset)
                self._file.overwrite(offset, header)
        except BaseException:
            self.discard()
            raise
        self._central.append(layout.central_header(entry, layout.STORED, crc, size, size, offset))
        self._digests[name] = digest
        self._storages += 1
        self._storages_end = self._end
        return offset + len(header)

    def flush(self) -> None:
        """Let other processes read the storages at their offsets in `path`."""
        self._require_unfinished()
        self._write_pending()  # The file has no buffer.

    @contextmanager
    def readable(self, records: Mapping[RecordName, bytes]) -> Iterator[None]:
        """Make a ZIP archive of what `path` holds so far, for as long as the context lasts.

        Args:
            records: More that it shall have then.
        """
        self.flush()
        end, entries, digests = self._end, len(self._central), dict(self._digests)
        try:
            self._write_records([(name, pack_record(data)) for name, data in records.items()])
            directory = b"".join(self._central)
            self._write(directory + layout.end_records(len(self._central), len(directory), self._end))
            yield
        finally:
            self._file.truncate(end)
            self._end = self._written = end
            self._digests = digests
            del self._central[entries:]

    def add(self, name: RecordName, data: bytes, *, lasting: bool = False) -> None:
        """Add an ordinary record; it is kept in memory until `finish`.

        Args:
            name: Where it lies. Records may come in any order.
            data: The content.
            lasting: Whether later archives are likely to have the same content: more time is taken to make
                it small, and it is remembered for them.

        Raises:
            ValueError: if the archive already has a record of that name, if the name is one that the
                writer gives (a storage, the manifest, the seal) or none that a record may have, or if
                the content is larger than a reader accepts.
        """
        self._require_unfinished()
        record_name(name)
        if name in self._batches:
            raise ValueError(f"the archive already has a record {name!r}")
        if name in (MANIFEST, SEAL) or is_storage(name):
            raise ValueError(f"the archive makes the record {name!r} by itself")
        if len(data) > limits.MAX_RECORD_BYTES:
            raise ValueError(
                f"the record {name!r} has {len(data):,} bytes; only storages may have more than"
                f" {limits.MAX_RECORD_BYTES:,}"
            )
        self._batches.add(name, data, lasting=lasting)

    def finish(self, manifest: Callable[[Mapping[RecordName, RecordDigest]], bytes]) -> str:
        """Write all other records, the manifest, the seal and the central directory.

        Args:
            manifest: Makes the bytes of the manifest; called once, with the digest of every other
                record but the seal, sorted by name.

        Returns:
            The digest of the case: the SHA-256 of the manifest in hexadecimal.

        Raises:
            ValueError: if the manifest or the number of records is larger than a reader accepts.
            OSError: if writing fails, such as on a full disk. The temporary file is removed.
        """
        self._require_unfinished()
        if self._storages + len(self._batches) + 2 > limits.MAX_ENTRIES:
            raise ValueError(f"the archive has more than {limits.MAX_ENTRIES:,} records")
        try:
            self._write_records(self._batches.take())
            self._records_end, self._records = self._end, len(self._central)
            seal = self._seal(manifest)
        except BaseException:
            self.discard()
            raise
        self._stop_threads()
        self._finished = True
        return seal

    def reseal(self, manifest: Callable[[Mapping[RecordName, RecordDigest]], bytes]) -> str:
        """Give a finished archive another manifest.

        Args:
            manifest: As for `finish`.

        Returns:
            The new digest of the case.

        Raises:
            RuntimeError: if the archive is not finished, or is published or discarded.
            ValueError, OSError: as for `finish`.
        """
        if not self._finished or self._gone:
            raise RuntimeError("only a finished archive can be given another manifest")
        try:
            self._end = self._written = self._records_end
            self._file.truncate(self._end)
            del self._central[self._records :]
            del self._digests[MANIFEST], self._digests[SEAL]
            return self._seal(manifest)
        except BaseException:
            self.discard()
            raise

    def reopen(self) -> None:
        """Take a finished archive back to its storages: other records can be added, and it be finished anew.

        Raises:
            RuntimeError: if the archive is not finished, or is published or discarded.
            OSError: if the file cannot be cut.
        """
        if not self._finished or self._gone:
            raise RuntimeError("only a finished archive can be opened anew")
        self._end = self._written = self._storages_end
        self._file.truncate(self._end)
        del self._central[self._storages :]
        self._digests = {name: d for name, d in self._digests.items() if is_storage(name)}
        self._batches, self._streams = Batches(), Streams()
        self._finished = False

    def _seal(self, manifest: Callable[[Mapping[RecordName, RecordDigest]], bytes]) -> str:
        """Write the manifest, the seal and the central directory; return the digest of the case."""
        document = manifest(dict(sorted(self._digests.items())))
        if len(document) > limits.MAX_MANIFEST_BYTES:
            raise ValueError(
                f"the manifest has {len(document):,} bytes, more than {limits.MAX_MANIFEST_BYTES:,}"
            )
        seal = hashlib.sha256(document).hexdigest()
        last = [(MANIFEST, document), (SEAL, f"{seal}\n".encode())]
        self._write_records([(name, _pack_last(data)) for name, data in last])
        directory = b"".join(self._central)
        if len(directory) > limits.MAX_DIRECTORY_BYTES:
            raise ValueError(f"the names of the records take {len(directory):,} bytes")
        self._write(directory + layout.end_records(len(self._central), len(directory), self._end))
        return seal

    def publish(self) -> None:
        """Give the file its name; an existing one is replaced in one step, when the new one is on the disk.

        Raises:
            OSError: if the file cannot be renamed.
            RuntimeError: if the archive is not finished.
        """
        if not self._finished or self._gone:
            raise RuntimeError("only a finished archive can be published, once")
        self._file.publish()
        self._gone = True

    def discard(self) -> None:
        """Remove the temporary file; do nothing if it is published or gone."""
        self._stop_threads()
        self._gone = True
        self._file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _require_unfinished(self) -> None:
        if self._finished or self._gone:
            raise RuntimeError(f"the archive is {'finished' if self._finished else 'discarded'}")
        self._file.require_own()  # the threads that deflate are not in a forked process

    def _write_records(self, records: list[tuple[RecordName, PackedRecord]]) -> None:
        parts: list[bytes] = []
        offset = self._end
        for name, record in records:
            entry = (self._root + name).encode()
            facts = (entry, record.method, record.crc, len(record.content), record.size)
            header = layout.local_header(*facts)
            self._central.append(layout.central_header(*facts, offset))
            self._digests[name] = RecordDigest(record.size, "sha256", record.sha256)
            parts += header, record.content
            offset += len(header) + len(record.content)
            if offset - self._end >= _BATCH:
                self._write(b"".join(parts))
                parts.clear()
        self._write(b"".join(parts))

    def _write_pending(self) -> None:
        if self._pending:
            gathered = b"".join(self._pending)
            self._pending.clear()
            self._written = self._end
            self._file.write(gathered)

    def _write(self, data: Buffer) -> None:
        self._write_pending()
        self._end += memoryview(data).nbytes
        self._written = self._end
        self._file.write(data)

    def _stop_threads(self) -> None:
        self._batches.close()
        self._streams.close()


def _pack_last(data: bytes) -> PackedRecord:
    """Return the manifest or the seal, stored if a reader would refuse to inflate it."""
    packed = pack_record(data)
    if manifest_fits(packed.size, len(packed.content)):
        return packed
    return packed._replace(method=layout.STORED, content=data)
