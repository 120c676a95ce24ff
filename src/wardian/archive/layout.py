"""The canonical bytes of a case's container (docs/reference/format.md, 1).

Wardian writes and parses ZIP by itself instead of through `zipfile`. The container is what a case
exists for, so its integrity is owned to the last byte: the writer is deterministic, and the reader
rebuilds every header from the central directory's facts and compares, so that no bit of the structure
is free. `zipfile` accepts prefixes, gaps, overlaps and headers that contradict each other; it also
hashes, checksums and writes in one thread, at a fraction of the speed of the disk.
"""

from __future__ import annotations

import struct

__all__ = [
    "CENTRAL",
    "CENTRAL_FIELDS",
    "CENTRAL_SIGNATURE",
    "DEFLATED",
    "END",
    "END64",
    "END64_SIGNATURE",
    "END_SIGNATURE",
    "LOCAL",
    "LOCAL_FIELDS",
    "LOCAL_SIGNATURE",
    "LOCATOR",
    "LOCATOR_SIGNATURE",
    "PARTIAL_SIGNATURE",
    "ROOT",
    "STORED",
    "ZIP64_COUNT",
    "ZIP64_EXTRA",
    "ZIP64_SIZE",
    "central_header",
    "end_records",
    "local_header",
    "storage_header",
]

ROOT = "case"
"""The first folder of every entry name of a case, if the writer is told no other (1.3)."""

STORED = 0
DEFLATED = 8

LOCAL_SIGNATURE = b"PK\x03\x04"
PARTIAL_SIGNATURE = b"PK\xff\xff"
"""Begins a local copy of a file that lies elsewhere while not all of it is here: it is no archive."""
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR_SIGNATURE = b"PK\x06\x07"

LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_FIELDS = (
    "signature",
    "version needed",
    "flags",
    "method",
    "time",
    "date",
    "CRC-32",
    "deflated size",
    "size",
    "length of the name",
    "length of the extra field",
)
CENTRAL = struct.Struct("<4s6H3L5H2L")
CENTRAL_FIELDS = (
    "signature",
    "version made by",
    "version needed",
    "flags",
    "method",
    "time",
    "date",
    "CRC-32",
    "deflated size",
    "size",
    "length of the name",
    "length of the extra field",
    "length of the comment",
    "disk",
    "internal attributes",
    "external attributes",
    "offset",
)
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")

ZIP64_SIZE = 0xFFFFFFFF
"""A size or an offset from here on does not fit its four bytes, which then hold this mark."""
ZIP64_COUNT = 0xFFFF
"""The same for the number of entries."""
ZIP64_EXTRA = 0x0001

_MARK = 0xFFFFFFFF
_VERSION = 20
_VERSION_ZIP64 = 45
_FLAGS = 1 << 11  # the name is UTF-8
_DATE = (0 << 9) | (1 << 5) | 1  # 1980-01-01
_PADDING_EXTRA = 0x4246  # "FB", as PyTorch writes it

_EXTRA = struct.Struct("<2H")
_LOCAL_ZIP64 = struct.Struct("<2H2Q")


def local_header(name: bytes, method: int, crc: int, packed: int, size: int) -> bytes:
    """Return the local header of an ordinary record.

    Args:
        name: Entry name in UTF-8, the root folder included.
        method: `STORED` or `DEFLATED`.
        crc: CRC-32 of the content before deflating.
        packed: Bytes the content takes in the file.
        size: Bytes of the content before deflating; at most `limits.MAX_RECORD_BYTES`.
    """
    return (
        LOCAL.pack(LOCAL_SIGNATURE, _VERSION, _FLAGS, method, 0, _DATE, crc, packed, size, len(name), 0)
        + name
    )


def storage_header(name: bytes, crc: int, size: int, offset: int) -> bytes:
    """Return the local header of a storage record, padded so that the content is aligned (1.8).

    Args:
        name: Entry name in UTF-8, the root folder included.
        crc: CRC-32 of the content.
        size: Bytes of the content.
        offset: Where the header starts in the file, in bytes.
    """
    if size < ZIP64_SIZE:
        version, field, extra = _VERSION, size, b""
    else:
        version, field, extra = _VERSION_ZIP64, _MARK, _LOCAL_ZIP64.pack(ZIP64_EXTRA, 16, size, size)
    start = offset + LOCAL.size + len(name) + len(extra) + _EXTRA.size
    padding = -start % (4096 if size >= 1 << 20 else 64)
    extra += _EXTRA.pack(_PADDING_EXTRA, padding) + bytes(padding)
    return (
        LOCAL.pack(
            LOCAL_SIGNATURE, version, _FLAGS, STORED, 0, _DATE, crc, field, field, len(name), len(extra)
        )
        + name
        + extra
    )


def central_header(name: bytes, method: int, crc: int, packed: int, size: int, offset: int) -> bytes:
    """Return the central directory's entry of a record.

    Args:
        name: Entry name in UTF-8, the root folder included.
        method: `STORED` or `DEFLATED`.
        crc: CRC-32 of the content before deflating.
        packed: Bytes the content takes in the file.
        size: Bytes of the content before deflating.
        offset: Where the local header starts in the file, in bytes.
    """
    version, extra = _VERSION, b""
    if size >= ZIP64_SIZE or packed >= ZIP64_SIZE or offset >= ZIP64_SIZE:
        # Only what does not fit stands in the extra field, in this order (APPNOTE 4.5.3).
        wide = [value for value in (size, packed, offset) if value >= ZIP64_SIZE]
        size, packed, offset = (_MARK if value >= ZIP64_SIZE else value for value in (size, packed, offset))
        version, extra = _VERSION_ZIP64, struct.pack(f"<2H{len(wide)}Q", ZIP64_EXTRA, 8 * len(wide), *wide)
    return (
        CENTRAL.pack(
            CENTRAL_SIGNATURE,
            version,
            version,
            _FLAGS,
            method,
            0,
            _DATE,
            crc,
            packed,
            size,
            len(name),
            len(extra),
            0,
            0,
            0,
            0,
            offset,
        )
        + name
        + extra
    )


def end_records(count: int, size: int, offset: int) -> bytes:
    """Return what follows the central directory.

    Args:
        count: Entries in the archive.
        size: Bytes of the central directory.
        offset: Where the central directory starts in the file, in bytes.
    """
    end64 = b""
    if count >= ZIP64_COUNT or size >= ZIP64_SIZE or offset >= ZIP64_SIZE:
        end64 = END64.pack(
            END64_SIGNATURE,
            END64.size - 12,
            _VERSION_ZIP64,
            _VERSION_ZIP64,
            0,
            0,
            count,
            count,
            size,
            offset,
        ) + LOCATOR.pack(LOCATOR_SIGNATURE, 0, offset + size, 1)
    count = 0xFFFF if count >= ZIP64_COUNT else count
    size = _MARK if size >= ZIP64_SIZE else size
    offset = _MARK if offset >= ZIP64_SIZE else offset
    return end64 + END.pack(END_SIGNATURE, 0, 0, count, count, size, offset, 0)
