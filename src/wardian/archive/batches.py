"""Ordinary records, deflated in the background."""

from __future__ import annotations

import hashlib
import os
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from wardian.archive import layout
from wardian.archive.crc import crc32
from wardian.archive.deflate import deflate, deflate_small
from wardian.domain.names import RecordName
from wardian.memory import Memory

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Batches", "MOST_LASTING", "PackedRecord", "pack_lasting", "pack_record"]

_BATCH = 1 << 20
_BATCH_RECORDS = 1000
"""Bytes of records, and records, that one task deflates."""

MOST_LASTING = 16 << 20
"""Bytes up to which a record is made small: 0.4 s of a core."""


class PackedRecord(NamedTuple):
    """One record as it lies in the file."""

    method: int
    content: bytes
    crc: int
    size: int
    sha256: str


class Batches:
    """Records that are deflated, a full batch at once, while the caller makes the next ones."""

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor  # it imports logging, which readers do not need

        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="wardian-deflate")
        self._names: set[RecordName] = set()
        self._batch: list[tuple[RecordName, bytes, bool]] = []
        self._batch_size = 0
        self._deflated: list[tuple[list[RecordName], Future[list[PackedRecord]]]] = []

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: RecordName) -> bool:
        return name in self._names

    def add(self, name: RecordName, data: bytes, *, lasting: bool = False) -> None:
        """Add a record of another name than those before; `pack_lasting` says when it is *lasting*."""
        self._names.add(name)
        self._batch.append((name, bytes(data), lasting))
        self._batch_size += len(data)
        if self._batch_size >= _BATCH or len(self._batch) == _BATCH_RECORDS:
            self._submit()

    def take(self) -> list[tuple[RecordName, PackedRecord]]:
        """Return all records, sorted by name, and forget them."""
        self._submit()
        packed = [
            (name, record)
            for names, done in self._deflated
            for name, record in zip(names, done.result(), strict=True)
        ]
        self._deflated.clear()
        self._names.clear()
        return sorted(packed, key=itemgetter(0))

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _submit(self) -> None:
        batch, self._batch, self._batch_size = self._batch, [], 0
        if batch:
            done = self._threads.submit(_pack_all, [(data, lasting) for _, data, lasting in batch])
            self._deflated.append(([name for name, _, _ in batch], done))


def pack_record(data: bytes) -> PackedRecord:
    """Return a record deflated, or as it is where that is no longer."""
    return _packed(data, deflate(data), hashlib.sha256(data).hexdigest())


# BERT has code of 8 MB, deflated.
_lasting: Memory[PackedRecord] = Memory(limit=64 << 20)


def pack_lasting(data: bytes) -> PackedRecord:
    """Return a record of what is likely to be packed again, as code of libraries is: small, and made once.

    What is larger than `MOST_LASTING` is packed as by `pack_record`.

    >>> pack_lasting(b"class Oak: ...") is pack_lasting(b"class Oak: ...")
    True
    """
    if len(data) > MOST_LASTING:
        return pack_record(data)
    digest = hashlib.sha256(data)

    def make() -> tuple[PackedRecord, int]:
        record = _packed(data, deflate_small(data), digest.hexdigest())
        return record, len(record.content)

    return _lasting.get(digest.digest(), make)


def _packed(data: bytes, deflated: bytes, sha256: str) -> PackedRecord:
    is_smaller = len(deflated) < len(data)
    method, content = (layout.DEFLATED, deflated) if is_smaller else (layout.STORED, data)
    return PackedRecord(method, content, crc32(data), len(data), sha256)


def _pack_all(contents: list[tuple[bytes, bool]]) -> list[PackedRecord]:
    return [pack_lasting(data) if lasting else pack_record(data) for data, lasting in contents]
