"""Central directories and end records that lie."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from tests import archives
from tests.archives import Forged, forge
from tests.attacks.refusal import HARMLESS, refuse
from wardian.archive import central_directory as directory
from wardian.errors import CaseError, CorruptCaseError


def zip64_end(data: bytes, count: int, size: int, offset: int) -> bytes:
    """Replace the end record by one that points to 64-bit values."""
    end = len(data) - 22
    return (
        data[:end]
        + struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
        + struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def test_too_many_records() -> None:
    data = forge([HARMLESS])
    refuse(zip64_end(data, (1 << 20) + 1, 300, 0), "at most 1,048,576")


def test_a_directory_over_the_limit() -> None:
    refuse(zip64_end(forge([HARMLESS]), 3, (512 << 20) + 1, 0), "at most 536,870,912")


@pytest.mark.parametrize("count", [0, 2, 4, 5000, 1 << 60])
def test_a_number_of_records_that_lies(count: int) -> None:
    data = forge([HARMLESS])
    with pytest.raises(CorruptCaseError):
        archives.contents(zip64_end(data, count, 200, data.index(b"PK\x01\x02")))
    with pytest.raises(CorruptCaseError):
        archives.contents(forge([HARMLESS], end={3: count & 0xFFFF, 4: count & 0xFFFF}))


def test_zip64_where_it_is_not_needed() -> None:
    data = forge([HARMLESS])
    offset = data.index(b"PK\x01\x02")
    refuse(zip64_end(data, 3, len(data) - 22 - offset, offset), "end record")


@pytest.mark.parametrize("number", range(1, 8))
def test_an_end_record_that_lies(number: int) -> None:
    for value in (1, 7, 0xFFFF):
        with pytest.raises(CorruptCaseError):
            archives.contents(forge([HARMLESS], end={number: value}))


def test_a_directory_of_nothing_but_the_seal() -> None:
    with pytest.raises(CaseError):
        archives.contents(forge([Forged(b"case/.wardian/seal")], sealed=False))


def test_long_names_that_are_slow_to_check() -> None:
    # The wrong one is the last; tracing memory slows the rest of the reader down.
    tracemalloc.stop()
    entry_names = [b"case/%08d:" % number + b"a/" * 507 + b"a" for number in range(50_000)]
    assert len(directory._checked_names(entry_names, "case/")) == 50_000
    entry_names[-1] = b"case/a/.."
    with pytest.raises(directory.DamageError):
        directory._checked_names(entry_names, "case/")
    tracemalloc.start()
