"""Contents that fit their headers but not their digests."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest

from tests.archives import Forged, forge
from tests.attacks.refusal import HARMLESS, refuse


def test_a_manifest_that_was_exchanged() -> None:
    seal = hashlib.sha256(b"{}").hexdigest().encode() + b"\n"
    entries = [Forged(b"case/.wardian/manifest.json", b"{ }"), Forged(b"case/.wardian/seal", seal)]
    refuse(forge(entries, sealed=False), "seal is not the SHA-256", ".wardian/manifest.json")


@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\n\n"])
def test_a_seal_that_is_written_otherwise(ending: bytes) -> None:
    seal = hashlib.sha256(b"{}").hexdigest().encode() + ending
    entries = [Forged(b"case/.wardian/manifest.json", b"{}"), Forged(b"case/.wardian/seal", seal)]
    refuse(forge(entries, sealed=False), "seal", ".wardian/manifest.json")


def test_a_record_that_was_exchanged() -> None:
    data = forge([HARMLESS])
    evil = forge([Forged(HARMLESS.name, HARMLESS.content.replace(b"ResNet", b"System"))])
    sealed = data.index(b"PK\x03\x04", 4)
    old, new = (struct.pack("<L", zlib.crc32(d[30 + 20 : sealed])) for d in (data, evil))
    exchanged = evil[:sealed] + data[sealed:].replace(old, new)
    refuse(exchanged, "digest", "mylib/models.py")
