"""Headers that the writer would not write: fields, extra fields, padding."""

from __future__ import annotations

import struct

import pytest

from tests import archives
from tests.archives import Forged, forge
from tests.attacks.refusal import (
    CENTRAL_DISK,
    CENTRAL_EXTERNAL,
    CENTRAL_OFFSET,
    CENTRAL_SYSTEM,
    HARMLESS,
    LOCAL_CRC,
    LOCAL_DATE,
    LOCAL_FLAGS,
    LOCAL_METHOD,
    LOCAL_PACKED,
    LOCAL_SIZE,
    LOCAL_VERSION,
    refuse,
)
from wardian.errors import CorruptCaseError


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Forged(b"case/a", both={"flags": 0}), "flags .* is 0, not 2048"),
        (Forged(b"case/a", both={"flags": 1 << 11 | 1}), "flags"),
        (Forged(b"case/a", both={"flags": 1 << 11 | 1 << 3}, after=b"PK\x07\x08" + bytes(12)), "flags"),
        (Forged(b"case/a", both={"method": 12}), "compression method"),
        (Forged(b"case/a", both={"method": 8}), "cannot take 0 bytes"),
        (Forged(b"case/a", central={CENTRAL_EXTERNAL: 0o120777 << 16}), "external attributes"),
        (Forged(b"case/a", central={CENTRAL_SYSTEM: 3 << 8 | 20}), "version made by"),
        (Forged(b"case/a", central={CENTRAL_DISK: 1}), "disk"),
        (Forged(b"case/a", local={LOCAL_DATE: 34}), "date in its local header"),
        (Forged(b"case/a", local={LOCAL_VERSION: 45}), "version needed"),
        (Forged(b"case/a", local={LOCAL_FLAGS: 0}), "flags in its local header"),
        (Forged(b"case/a", local={LOCAL_METHOD: 8}), "method in its local header"),
        (Forged(b"case/a", b"x", local={LOCAL_CRC: 0}), "CRC-32 in its local header"),
        (Forged(b"case/a", b"x", local={LOCAL_SIZE: 2}), "size in its local header"),
        (Forged(b"case/a", b"x", local={LOCAL_PACKED: 2}), "deflated size in its local header"),
        (Forged(b"case/a", local_extra=b"FB\0\0"), "extra field in its local header"),
        (Forged(b"case/a", central_extra=b"FB\0\0"), "extra field in its central directory"),
        (Forged(b"case/a", central_extra=b"\1\0\0\0"), "central directory"),
        (Forged(b"case/a", before=b"#!/bin/sh\n"), "offset"),
        (Forged(b"case/a", after=b"hidden"), "offset"),
        (Forged(b"case/a", b"x", central={CENTRAL_OFFSET: 1}), "offset"),
    ],
)
def test_a_header_that_the_writer_would_not_write(entry: Forged, words: str) -> None:
    with pytest.raises(CorruptCaseError, match=words) as caught:
        archives.contents(forge([entry, HARMLESS]))
    # What stands in front of a record shows at it, what stands behind it at the next.
    assert caught.value.record == ("mylib/models.py" if entry.after == b"hidden" else "a")


def test_padding_that_hides_data() -> None:
    # 30 bytes of header, 20 of name and 4 of the field leave 10 to the next multiple of 64.
    entry = Forged(b"case/.data/0.storage", b"abc", local_extra=struct.pack("<2H", 0x4246, 10) + bytes(10))
    with pytest.raises(CorruptCaseError, match=r"digest as sha256"):
        archives.contents(forge([entry]))  # The forge gives no BLAKE3; the structure passes.
    entry.local_extra = struct.pack("<2H", 0x4246, 10) + b"hidden data"[:10]
    refuse(forge([entry]), "not as it was written", ".data/0.storage")


def test_a_storage_that_is_not_aligned() -> None:
    data = forge(
        [Forged(b"case/.data/0.storage", b"abc", local_extra=struct.pack("<2H", 0x4246, 3) + bytes(3))]
    )
    refuse(data, "length of the extra field", ".data/0.storage")


def test_a_storage_that_is_deflated() -> None:
    refuse(forge([Forged(b"case/.data/0.storage", bytes(999), deflate=True)]), "stored", ".data/0.storage")
