"""One hostile file per test: each is refused with a `CorruptCaseError`, soon and in little memory."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import archives
from tests.archives import Forged, forge
from wardian.archive import ArchiveReader, directory
from wardian.errors import CaseError, CorruptCaseError, NotACaseError

HARMLESS = Forged(b"case/mylib/models.py", b"class ResNet: ...\n")

# Numbers of fields in headers, as `Forged` wants them.
LOCAL_VERSION, LOCAL_FLAGS, LOCAL_METHOD, LOCAL_DATE, LOCAL_CRC, LOCAL_PACKED, LOCAL_SIZE = (
    1,
    2,
    3,
    5,
    6,
    7,
    8,
)
CENTRAL_SYSTEM, CENTRAL_FLAGS, CENTRAL_CRC, CENTRAL_SIZE, CENTRAL_COMMENT, CENTRAL_DISK = 1, 3, 7, 9, 12, 13
CENTRAL_EXTERNAL, CENTRAL_OFFSET = 15, 16


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """A refusal takes less than two seconds and 30 MB, the file aside."""
    start = time.process_time()
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - start < 2
    assert peak < 30 << 20


def refuse(data: bytes, words: str, record: str | None = None) -> None:
    with pytest.raises(CorruptCaseError, match=words) as caught:
        archives.contents(data)
    assert caught.value.record == record


def test_the_forge_makes_valid_cases() -> None:
    # Else a test could pass for the wrong reason.
    data = forge([Forged(b"case/a.py", b"x" * 99, deflate=True), HARMLESS])
    assert archives.contents(data)["mylib/models.py"] == HARMLESS.content


# Names


@pytest.mark.parametrize(
    "text",
    [
        "../evil.py",
        "mylib/../../evil.py",
        "mylib/..",
        "./a.py",
        "a//b.py",
        "/etc/cron.d/evil",
        "C:/evil.py",
        "C:",
        "a\\..\\evil.py",
        "a\x00.py",
        "a\n.py",
        "a\x7f.py",
        "folder/",
        "",
        "a" * 1025,
    ],
)
def test_a_name_that_is_no_path_below_the_root(text: str) -> None:
    data = forge([Forged(b"case/" + text.encode(), b"x")])
    refuse(data, "record name", text)


def test_a_name_that_is_not_utf8() -> None:
    refuse(forge([Forged(b"case/a\xff.py")]), "not UTF-8", "a\\xff.py")


def test_a_name_with_an_encoded_surrogate() -> None:
    with pytest.raises(CorruptCaseError, match="not UTF-8"):
        archives.contents(forge([Forged(b"case/\xed\xa0\x80.py")]))


def test_a_name_in_another_root() -> None:
    refuse(forge([Forged(b"casf/a.py")]), "does not start with 'case/'", "casf/a.py")


def test_an_absolute_name() -> None:
    refuse(forge([Forged(b"/etc/passwd")]), "does not start with 'case/'", "/etc/passwd")


def test_two_records_of_one_name() -> None:
    refuse(forge([HARMLESS, Forged(HARMLESS.name, b"evil")]), "come once", "mylib/models.py")


def test_another_name_in_the_local_header() -> None:
    data = bytearray(forge([HARMLESS]))
    data[30 + 5 : 30 + 10] = b"other"
    refuse(bytes(data), "local header", "mylib/models.py")


def test_records_out_of_order() -> None:
    refuse(forge([Forged(b"case/b.py"), Forged(b"case/a.py")]), "sorted", "a.py")


def test_a_storage_out_of_order() -> None:
    refuse(forge([Forged(b"case/.data/1.storage")]), "not at its place", ".data/1.storage")


def test_a_storage_with_leading_zeros() -> None:
    refuse(forge([Forged(b"case/.data/00.storage")]), "not at its place", ".data/00.storage")


def test_a_second_seal() -> None:
    refuse(forge([Forged(b"case/.wardian/seal", b"0" * 64 + b"\n")]), "not at its place", ".wardian/seal")


def test_no_seal() -> None:
    refuse(
        forge([Forged(b"case/.wardian/manifest.json", b"{}")], sealed=False),
        "not manifest and",
        ".wardian/manifest.json",
    )


def test_no_manifest() -> None:
    refuse(
        forge([Forged(b"case/.wardian/seal", b"0" * 64)], sealed=False), "not manifest and", ".wardian/seal"
    )


# Headers


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


# Overlaps, gaps, prefix, suffix


def test_records_that_overlap() -> None:
    # The second is the first by another name: both of its headers say so, at one place.
    first = Forged(b"case/a", b"x" * 40)
    refuse(forge([first, Forged(b"case/b", b"", central={CENTRAL_OFFSET: 0})]), "offset", "b")


def test_a_record_that_reaches_into_the_directory() -> None:
    entry = Forged(b"case/a", b"x", both={"size": 5000, "packed": 5000})
    refuse(forge([entry]), "reaches into the central directory", "a")


def test_a_gap_before_the_directory() -> None:
    data = forge([HARMLESS])
    directory = data.index(b"PK\x01\x02")
    end = bytearray(data[directory:])
    end[-6:-2] = struct.pack("<L", directory + 7)
    refuse(data[:directory] + b"hidden!" + bytes(end), "7 bytes between")


def test_a_prefix() -> None:
    data = forge([HARMLESS])
    refuse(b"#!/bin/sh\nrm -rf ~\n" + data, "local header", "mylib/models.py")


def test_a_prefix_with_offsets_that_fit() -> None:
    data = forge([Forged(HARMLESS.name, HARMLESS.content, before=b"MZ" + bytes(98))])
    refuse(data, "offset", "mylib/models.py")


@pytest.mark.parametrize("suffix", [b"\n", b"<script>", bytes(70_000), b"PK\x05\x06" + bytes(18)])
def test_a_suffix(suffix: bytes) -> None:
    with pytest.raises(CorruptCaseError, match="appended"):
        archives.contents(forge([HARMLESS]) + suffix)


def test_a_suffix_as_a_comment() -> None:
    data = forge([HARMLESS], end={7: 5})
    refuse(data + b"hello", "end record")


def test_an_archive_behind_a_case() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("case/evil.py", "x")
    refuse(forge([HARMLESS]) + stream.getvalue(), "appended")


def test_a_case_behind_an_archive() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("evil.py", "x")
    with pytest.raises(CorruptCaseError):
        archives.contents(stream.getvalue() + forge([HARMLESS]))


# Sizes


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


# Directories and ends


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


# Contents that fit their headers but not their digests


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


# Archives of torch.package


EXTERNS = Forged(b"resnet/.data/extern_modules", b"torch\n")


def test_the_forge_makes_valid_packages() -> None:
    data = forge([Forged(b"resnet/a.py", b"x"), EXTERNS], sealed=False)
    assert archives.contents(data) == {"a.py": b"x", ".data/extern_modules": b"torch\n"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Forged(b"resnet/../evil.py"), "record name"),
        (Forged(b"resnet/a\\b.py"), "record name"),
        (Forged(b"resnet//evil.py"), "record name"),
        (Forged(b"other/a.py"), "does not start with"),
        (Forged(b"resnet/a", both={"flags": 1}), "encrypted"),
        (Forged(b"resnet/a", both={"method": 14}), "compression method"),
        (Forged(b"resnet/a", central={CENTRAL_EXTERNAL: 0o120777 << 16}), "symbolic link"),
        (Forged(b"resnet/a", both={"size": 1 << 20}), "cannot take"),
        (Forged(b"resnet/a", both={"size": 1 << 20, "method": 8, "packed": 3}), "cannot inflate"),
        (Forged(b"resnet/a", both={"size": 4000, "packed": 4000}), "reaches into"),
        (Forged(b"resnet/a", central={CENTRAL_OFFSET: 1 << 31}), "beyond the end"),
        (Forged(b"resnet/a", central={CENTRAL_OFFSET: 0}), "reaches into|no local header"),
        (Forged(b"resnet/a", local={LOCAL_METHOD: 8}), "another compression method"),
        (Forged(b"resnet/.data/extern_modules", b"evil\n"), "two records"),
    ],
)
def test_a_package_that_is_hostile(entry: Forged, words: str) -> None:
    with pytest.raises(CorruptCaseError, match=words):
        archives.contents(forge([EXTERNS, entry], sealed=False))


def test_a_package_with_a_prefix() -> None:
    refuse(b"#!/bin/sh\n" + forge([EXTERNS], sealed=False), "put before it")


def test_a_package_with_absolute_names() -> None:
    refuse(forge([Forged(b"/.data/extern_modules"), Forged(b"/etc/passwd")], sealed=False), "absolute")


def test_a_package_cannot_pass_for_a_case() -> None:
    sealed = Forged(b"resnet/.wardian/seal", b"0" * 64 + b"\n")
    refuse(forge([EXTERNS, sealed], sealed=False), "does not start with", "resnet/.data/extern_modules")


def test_a_truncated_package(tmp_path: Path) -> None:
    data = forge([Forged(b"resnet/.data/0.storage", b"weights"), EXTERNS], sealed=False)
    refuse(data[:-1], "cut short")
    with pytest.raises(NotACaseError, match="cut short"):
        ArchiveReader.open(forge([EXTERNS], sealed=False)[:-1])
