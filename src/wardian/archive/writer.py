"""The writer of cases.

Storages are written at once, as they come; a thread hashes what another writes, so that digests cost
almost no time. Other records are small: they are kept, sorted and deflated at the end, so that the same
records give the same bytes whatever the order they came in. The file grows under a temporary name beside
its target and takes the target's name only when all of it is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from wardian.archive import layout, limits
from wardian.archive.digests import RecordDigest, digest_of, new_blake3
from wardian.names import RecordName, record_name

if TYPE_CHECKING:
    from io import FileIO

    from typing_extensions import Buffer

__all__ = ["ArchiveWriter"]

_CHUNK = 4 << 20
"""Bytes written and hashed in one step: larger ones fall out of the caches, smaller ones cost hand-overs."""
_INLINE = 1 << 20
"""A storage up to this size is hashed where it is written, without a thread."""
_BATCH = 1 << 20
_BATCH_RECORDS = 1000
"""Bytes of ordinary records that one task deflates."""
_LEVEL = 4
"""Of zlib. Sources take 5 % more than at 6, its default, in half of the time."""


class ArchiveWriter:
    """Write one case.

    Use it as a context manager: leaving it without `publish` removes the temporary file. A method that
    fails while it writes removes it at once. Not for use by several threads.

    Args:
        target: The file to make, a path. An existing file stays as it is until `publish`.

    Attributes:
        path: The temporary file, in the folder of the target.
        target: The target as an absolute path.

    Raises:
        FileNotFoundError: if the folder of the target does not exist.
        IsADirectoryError: if the target is a folder.
        PermissionError: if no file can be made in the folder of the target.

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

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target).absolute()
        if self.target.is_dir():
            raise IsADirectoryError(
                errno.EISDIR, "the target is a folder; name a file in it", str(self.target)
            )
        if not self.target.parent.exists():
            raise FileNotFoundError(
                errno.ENOENT, "the folder of the target does not exist", str(self.target.parent)
            )
        self.path = _temporary_name(self.target)
        # Mode "x" never follows a link that someone has laid, and the umask gives the usual permissions.
        # Unbuffered: what is written can be read by another process at once.
        self._file: FileIO = self.path.open("xb", buffering=0)
        self._end = 0
        self._central: list[bytes] = []
        self._digests: dict[RecordName, RecordDigest] = {}
        # A full batch is deflated in the background, while the caller makes the next records.
        self._names: set[RecordName] = set()
        self._batch: list[tuple[RecordName, bytes]] = []
        self._batch_size = 0
        self._deflated: list[tuple[list[RecordName], Future[list[_Packed]]]] = []
        self._storages = 0
        self._storages_end = 0
        self._deflate_threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="wardian-deflate")
        self._crc_thread = ThreadPoolExecutor(1, thread_name_prefix="wardian-crc")
        self._hash_thread = ThreadPoolExecutor(1, thread_name_prefix="wardian-blake3")
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
        name = layout.storage_name(self._storages)
        entry = (layout.ROOT + name).encode()
        offset = self._end
        try:
            view = _whole(data)
            if view is not None and len(view) == size <= _INLINE:
                crc, hexdigest = zlib.crc32(view), digest_of(view, "blake3").hex
                header = layout.storage_header(entry, crc, size, offset)
                self._write(header + view)
            else:
                self._write(layout.storage_header(entry, 0, size, offset))
                crc, hexdigest = self._stream(data, size)
                header = layout.storage_header(entry, crc, size, offset)
                self._overwrite(offset, header)
        except BaseException:
            self.discard()
            raise
        self._central.append(layout.central_header(entry, layout.STORED, crc, size, size, offset))
        self._digests[name] = RecordDigest(size, "blake3", hexdigest)
        self._storages += 1
        self._storages_end = self._end
        return offset + len(header)

    def flush(self) -> None:
        """Let other processes read the storages at their offsets in `path`."""
        self._require_unfinished()  # The file has no buffer: they already can.

    def add(self, name: RecordName, data: bytes) -> None:
        """Add an ordinary record; it is kept in memory until `finish`.

        Args:
            name: Where it lies. Records may come in any order.
            data: The content.

        Raises:
            ValueError: if the archive already has a record of that name, if the name is one that the
                writer gives (a storage, the manifest, the seal) or none that a record may have, or if
                the content is larger than a reader accepts.
        """
        self._require_unfinished()
        record_name(name)
        if name in self._names:
            raise ValueError(f"the archive already has a record {name!r}")
        if name in (layout.MANIFEST, layout.SEAL) or layout.STORAGE_NAME.fullmatch(name):
            raise ValueError(f"the archive makes the record {name!r} by itself")
        if len(data) > limits.MAX_RECORD_BYTES:
            raise ValueError(
                f"the record {name!r} has {len(data):,} bytes; only storages may have more than"
                f" {limits.MAX_RECORD_BYTES:,}"
            )
        self._names.add(name)
        self._batch.append((name, bytes(data)))
        self._batch_size += len(data)
        if self._batch_size >= _BATCH or len(self._batch) == _BATCH_RECORDS:
            self._submit_batch()

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
        if self._storages + len(self._names) + 2 > limits.MAX_ENTRIES:
            raise ValueError(f"the archive has more than {limits.MAX_ENTRIES:,} records")
        try:
            self._submit_batch()
            packed = [
                (name, record)
                for names, done in self._deflated
                for name, record in zip(names, done.result(), strict=True)
            ]
            self._deflated.clear()
            self._names.clear()
            self._write_records(sorted(packed, key=itemgetter(0)))
            del packed
            document = manifest(dict(sorted(self._digests.items())))
            if len(document) > limits.MAX_MANIFEST_BYTES:
                raise ValueError(
                    f"the manifest has {len(document):,} bytes, more than {limits.MAX_MANIFEST_BYTES:,}"
                )
            seal = hashlib.sha256(document).hexdigest()
            last = [(layout.MANIFEST, document), (layout.SEAL, f"{seal}\n".encode())]
            self._write_records([(name, _pack(data)) for name, data in last])
            directory = b"".join(self._central)
            if len(directory) > limits.MAX_DIRECTORY_BYTES:
                raise ValueError(f"the names of the records take {len(directory):,} bytes")
            self._write(directory + layout.end_records(len(self._central), len(directory), self._end))
        except BaseException:
            self.discard()
            raise
        self._stop_threads()
        self._finished = True
        return seal

    def rewind(self) -> None:
        """Take `finish` back: all records but the storages are gone, and others can be added.

        Raises:
            RuntimeError: if the archive is not finished, or is published or discarded.
        """
        if not self._finished or self._gone:
            raise RuntimeError("only a finished archive can be taken back")
        self._end = self._storages_end
        with self._naming_target():
            self._file.truncate(self._end)
            self._file.seek(self._end)
        del self._central[self._storages :]
        self._digests = {
            layout.storage_name(n): self._digests[layout.storage_name(n)] for n in range(self._storages)
        }
        self._deflate_threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="wardian-deflate")
        self._finished = False

    def publish(self) -> None:
        """Wait for the disk, then give the file its name; an existing one is replaced in one step.

        Raises:
            OSError: if the file cannot be renamed.
            RuntimeError: if the archive is not finished.
        """
        if not self._finished or self._gone:
            raise RuntimeError("only a finished archive can be published, once")
        with self._naming_target():
            os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(self.target)
        self._gone = True
        _fsync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the temporary file; do nothing if it is published or gone."""
        self._stop_threads()
        self._file.close()
        if not self._gone:
            self._gone = True
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _require_unfinished(self) -> None:
        if self._finished or self._gone:
            raise RuntimeError(f"the archive is {'finished' if self._finished else 'discarded'}")

    def _stream(self, data: Buffer | Iterable[Buffer], size: int) -> tuple[int, str]:
        """Write the content of a storage; return its CRC-32 and its BLAKE3."""
        crc = 0
        hasher = new_blake3(all_cores=False)

        def update_crc(chunk: memoryview) -> None:
            nonlocal crc
            crc = zlib.crc32(chunk, crc)

        def update_hash(chunk: memoryview) -> None:
            hasher.update(chunk)

        written = 0
        for buffer in _buffers(data):
            written += len(buffer)
            if written > size:
                break
            running: list[Future[None]] = []
            for start in range(0, len(buffer), _CHUNK):
                chunk = buffer[start : start + _CHUNK]
                # One thread each: a running digest needs its chunks one after the other.
                running = [self._crc_thread.submit(update_crc, chunk)]
                running += [self._hash_thread.submit(update_hash, chunk)]
                self._write(chunk)
            # Before the next buffer is asked for, which may be this one with other content.
            for last in running:
                last.result()
        if written != size:
            raise ValueError(
                f"the storage has {written:,} bytes{' or more' * (written > size)}, not {size:,}"
            )
        return crc, hasher.hexdigest()

    def _submit_batch(self) -> None:
        batch, self._batch, self._batch_size = self._batch, [], 0
        if batch:
            contents = [data for _, data in batch]
            done = self._deflate_threads.submit(_pack_all, contents)
            self._deflated.append(([name for name, _ in batch], done))

    def _write_records(self, records: list[tuple[RecordName, _Packed]]) -> None:
        parts: list[bytes] = []
        offset = self._end
        for name, record in records:
            entry = (layout.ROOT + name).encode()
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

    def _write(self, data: Buffer) -> None:
        view = memoryview(data)
        self._end += len(view)
        with self._naming_target():
            while view:
                view = view[self._file.write(view) :]

    def _overwrite(self, offset: int, data: bytes) -> None:
        with self._naming_target():
            self._file.seek(offset)
            # A few bytes over bytes that are there: not cut short by a full disk.
            written = self._file.write(data)
            assert written == len(data)
            self._file.seek(self._end)

    @contextmanager
    def _naming_target(self) -> Iterator[None]:
        """Let an error of the disk name the file that the caller asked for."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, f"cannot write: {error.strerror}", str(self.target)) from error

    def _stop_threads(self) -> None:
        self._deflate_threads.shutdown(cancel_futures=True)
        self._crc_thread.shutdown(cancel_futures=True)
        self._hash_thread.shutdown(cancel_futures=True)


def _temporary_name(target: Path) -> Path:
    stem = target.name
    while len(os.fsencode(stem)) > 200:  # File systems allow 255 bytes; the rest of the name takes 22.
        stem = stem[:-1]
    return target.with_name(f".{stem}.{secrets.token_hex(8)}.tmp")


def _fsync_folder(folder: Path) -> None:
    """Wait until a rename in *folder* is on the disk, where folders can be opened (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _buffers(data: Buffer | Iterable[Buffer]) -> Iterator[memoryview]:
    """Yield the bytes of one buffer or of several."""
    view = _whole(data)
    if view is not None:
        yield view
        return
    for part in cast("Iterable[Buffer]", data):
        yield _flat(memoryview(part))


def _whole(data: Buffer | Iterable[Buffer]) -> memoryview | None:
    """Return the bytes of one buffer; None if *data* is none."""
    try:
        view = memoryview(cast("Buffer", data))
    except TypeError:
        return None
    return _flat(view)


def _flat(view: memoryview) -> memoryview:
    # `cast` refuses shapes with a zero.
    return view.cast("B") if view.nbytes else memoryview(b"")


class _Packed(NamedTuple):
    """One record as it lies in the file."""

    method: int
    content: bytes
    crc: int
    size: int
    sha256: str


def _pack(data: bytes) -> _Packed:
    method, packed = layout.DEFLATED, zlib.compress(data, _LEVEL, wbits=-zlib.MAX_WBITS)
    if len(packed) >= len(data):
        method, packed = layout.STORED, data
    return _Packed(method, packed, zlib.crc32(data), len(data), hashlib.sha256(data).hexdigest())


def _pack_all(contents: list[bytes]) -> list[_Packed]:
    return [_pack(data) for data in contents]
