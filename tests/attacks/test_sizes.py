"""Sizes that lie: bombs, streams that end early or late, numbers that no disk holds."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib

import pytest

from tests import archives
from tests.archives import Forged, forge
from tests.attacks.refusal import refuse
from wardian.errors import CorruptCaseError


def test_a_bomb_that_admits_its_size() -> None:
    entry = Forged(b"case/a", bytes(10_000), deflate=True, both={"size": 1 << 30})
    refuse(forge([entry]), "cannot inflate", "a")


def test_a_bomb_that_hides_its_size() -> None:
    bomb = zlib.compress(bytes(200 << 20), 9, wbits=-15)
    tracemalloc.reset_peak()
    both = {"method": 8, "size": len(bomb) + 1, "crc": 0}
    refuse(forge([Forged(b"case/a", bomb, both=both)]), "inflate to exactly", "a")


def test_a_bomb_in_the_manifest() -> None:
    bomb = zlib.compress(bytes(200 << 20), 9, wbits=-15)
    tracemalloc.reset_peak()
    both = {"method": 8, "size": len(bomb) + 1, "crc": 0}
    entries = [
        Forged(b"case/.wardian/manifest.json", bomb, both=both),
        Forged(b"case/.wardian/seal", bytes(65)),
    ]
    refuse(forge(entries, sealed=False), "inflate to exactly", ".wardian/manifest.json")


def test_a_record_over_the_limit() -> None:
    entry = Forged(b"case/a", both={"size": (1 << 30) + 1, "packed": (1 << 30) + 1})
    refuse(forge([entry]), "at most 1,073,741,824", "a")


def test_a_stream_that_ends_early() -> None:
    entry = Forged(b"case/a", bytes(1000), deflate=True, both={"size": 1001})
    refuse(forge([entry]), "inflate to exactly 1,001", "a")


def test_a_stream_with_something_behind_it() -> None:
    content = os.urandom(10) * 100
    packed = zlib.compress(content, 6, wbits=-15) + b"hidden"
    both = {"method": 8, "size": len(content), "crc": zlib.crc32(content)}
    refuse(forge([Forged(b"case/a", packed, both=both)]), "inflate to exactly", "a")


def test_a_stream_that_is_none() -> None:
    refuse(forge([Forged(b"case/a", b"\xff" * 9, both={"method": 8, "size": 99})]), "does not inflate", "a")


def test_sizes_that_lie_in_zip64() -> None:
    extra = struct.pack("<2H2Q", 1, 16, 1, 1)
    entry = Forged(b"case/a", b"x", both={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF})
    entry.local_extra = entry.central_extra = extra
    refuse(forge([entry]), "central directory", "a")


@pytest.mark.parametrize("size", [(1 << 64) - 1, 1 << 63, 1 << 40])
@pytest.mark.parametrize("text", [b"case/a", b"case/.data/0.storage"])
def test_sizes_that_no_disk_holds(size: int, text: bytes) -> None:
    entry = Forged(text, b"x", both={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF})
    entry.local_extra = entry.central_extra = struct.pack("<2H2Q", 1, 16, size, size)
    with pytest.raises(CorruptCaseError):
        archives.contents(forge([entry]))


@pytest.mark.parametrize("text", ["a", ".data/0.storage"])
def test_a_size_without_its_zip64_field(text: str) -> None:
    entry = Forged(b"case/" + text.encode(), b"x", both={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF})
    refuse(forge([entry]), "at most" if text == "a" else "local header", text)


def test_a_crc_that_lies_in_both_headers() -> None:
    refuse(forge([Forged(b"case/a", b"x", both={"crc": 7})]), "CRC-32", "a")
