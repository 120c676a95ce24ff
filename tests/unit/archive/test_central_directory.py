"""The facts of a central directory, and the places of records that follow from them."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import archives
from tests.archives import Forged, forge
from wardian.archive import central_directory as directory
from wardian.archive import layout, limits
from wardian.archive.central_directory import DamageError, Entry

MARK = 0xFFFFFFFF
NUMBER = st.integers(0, 1 << 40) | st.integers(MARK - 2, MARK + 2)
ENTRY = st.builds(
    Entry,
    name=st.binary(max_size=20),
    method=st.sampled_from([layout.STORED, layout.DEFLATED]),
    crc=st.integers(0, MARK),
    packed=NUMBER,
    size=NUMBER,
    offset=NUMBER,
    flags=st.just(1 << 11),
    attributes=st.just(0),
)
PACKAGE = [
    Forged(b"oak/.data/extern_modules", b"torch\n"),
    Forged(b"oak/oak.py", b"class Oak: ...\n" * 9, True),
]


def of(data: bytes) -> directory.Directory:
    return directory.read_directory(data, directory.find_end(data))


BODY = of(forge(PACKAGE, sealed=False)).start


def with_end(count: int, size: int, content: bytes) -> bytes:
    """*content* and an end record that says so much of it is a directory."""
    return content + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, 0, 0)


@given(st.lists(ENTRY, max_size=5))
def test_entries_are_read_as_the_writer_wrote_them(entries: list[Entry]) -> None:
    block = b"".join(
        layout.central_header(each.name, each.method, each.crc, each.packed, each.size, each.offset)
        for each in entries
    )
    found = of(block + layout.end_records(len(entries), len(block), 0))
    assert (found.start, found.declared_start, found.entries) == (0, 0, len(entries))
    assert directory.read_entries(found) == entries


@pytest.mark.parametrize("comment", [b"", b"x", b"\0\0", bytes(0xFFFF)])
def test_an_end_is_found_before_any_comment(comment: bytes) -> None:
    plain = forge(PACKAGE, sealed=False)
    data = plain[:-2] + len(comment).to_bytes(2, "little") + comment
    if comment:
        assert directory.find_end(data) == data.rfind(b"PK\x05\x06")
    assert directory.find_end(plain) == len(plain) - 22


def test_an_end_further_off_than_a_comment_can_be_is_none() -> None:
    plain = forge(PACKAGE, sealed=False)
    assert directory.find_end(plain + bytes(0xFFFF)) == len(plain) - 22
    assert directory.find_end(plain + bytes(0x10000)) == -1
    assert directory.find_end(b"") == directory.find_end(b"PK\x05") == -1


def test_the_first_name_is_that_of_a_local_header() -> None:
    data = forge(PACKAGE, sealed=False)
    assert directory.first_name(data) == b"oak/.data/extern_modules"
    assert directory.first_name(data[:30]) == b""
    assert directory.first_name(data[:29]) is None
    assert directory.first_name(b"#!/bin/sh" + data) is None


def test_the_limits_of_a_directory_are_its_last_good_values(monkeypatch: pytest.MonkeyPatch) -> None:
    data = forge(PACKAGE, sealed=False)
    size = len(of(data).block)
    monkeypatch.setattr(limits, "MAX_ENTRIES", 2)
    monkeypatch.setattr(limits, "MAX_DIRECTORY_BYTES", size)
    assert of(data).entries == 2
    monkeypatch.setattr(limits, "MAX_DIRECTORY_BYTES", size - 1)
    with pytest.raises(DamageError, match=rf"has {size} bytes; at most {size - 1} are"):
        of(data)
    monkeypatch.setattr(limits, "MAX_ENTRIES", 1)
    with pytest.raises(DamageError, match="has 2 records; at most 1 are"):
        of(data)


def test_a_directory_is_no_larger_than_what_is_before_its_end() -> None:
    assert of(with_end(2, 92, bytes(92))).start == 0
    for count, size in ((2, 93), (3, 92)):
        with pytest.raises(DamageError, match="is not possible"):
            of(with_end(count, size, bytes(92)))


def test_an_end_record_that_is_cut_short_is_damage() -> None:
    data = forge(PACKAGE, sealed=False)[:-1]
    with pytest.raises(DamageError, match="cut short"):
        of(data)


def test_a_zip64_locator_has_its_end_record_before_it() -> None:
    block = bytes(46 * 0xFFFF)
    tail = layout.end_records(0xFFFF, len(block), 0)
    assert of(block + tail).entries == 0xFFFF
    for before in (b"", bytes(56)):
        with pytest.raises(DamageError, match="not before its locator"):
            of(before + tail[56:])


def test_entries_that_do_not_fill_the_directory_are_damage() -> None:
    found = of(forge(PACKAGE, sealed=False))
    with pytest.raises(DamageError, match="after its last record"):
        directory.read_entries(found._replace(entries=1))
    with pytest.raises(DamageError, match="ends before its record number 2"):
        directory.read_entries(found._replace(entries=3))
    with pytest.raises(DamageError, match="broken at its record number 1"):
        directory.read_entries(found._replace(block=found.block[:-1]))


def test_places_of_a_case_are_where_its_contents_lie(tmp_path: Path) -> None:
    data = archives.small(tmp_path / "resnet.case")
    records = directory.case_records(data, of(data))
    with zipfile.ZipFile(io.BytesIO(data)) as stock:
        assert list(records) == [info.filename.removeprefix("case/") for info in stock.infolist()]
        for record, info in zip(records.values(), stock.infolist(), strict=True):
            header = struct.unpack("<2H", data[info.header_offset + 26 : info.header_offset + 30])
            assert record.offset == info.header_offset + 30 + sum(header)
            assert record[1:] == (info.compress_type, info.CRC, info.compress_size, info.file_size)


def test_no_byte_around_the_contents_of_a_case_is_free(tmp_path: Path) -> None:
    data = archives.small(tmp_path / "resnet.case")
    inside = {
        place
        for record in directory.case_records(data, of(data)).values()
        for place in range(record.offset, record.offset + record.packed)
    }
    unnoticed = []
    for place in set(range(len(data))) - inside:
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            if (end := directory.find_end(bytes(changed))) >= 0:
                directory.case_records(bytes(changed), directory.read_directory(bytes(changed), end))
                unnoticed.append(place)
        except DamageError:
            pass
    assert unnoticed == []


@pytest.mark.parametrize(
    ("size", "packed", "fits"),
    [
        (1 << 20, 0, True),
        ((1 << 20) + 1, 8192, False),
        ((1 << 20) + 128, 8193, True),
        ((1 << 20) + 129, 8193, False),
    ],
)
def test_a_large_manifest_may_not_be_deflated_far(size: int, packed: int, fits: bool) -> None:
    assert directory.manifest_fits(size, packed) is fits


def test_sizes_of_a_record_are_held_to_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = forge([Forged(b"case/oak.py", bytes(1000), deflate=True), Forged(b"case/pine.py", bytes(1000))])
    monkeypatch.setattr(limits, "MAX_RECORD_BYTES", 1000)
    records = directory.case_records(data, of(data))
    monkeypatch.setattr(limits, "MAX_RATIO", 1000 // records[archives.name("oak.py")].packed - 1)
    with pytest.raises(DamageError, match="cannot inflate to 1,000") as caught:
        directory.case_records(data, of(data))
    assert caught.value.record == "oak.py"
    monkeypatch.undo()
    monkeypatch.setattr(limits, "MAX_RECORD_BYTES", 999)
    with pytest.raises(DamageError, match="1,000 bytes; at most 999"):
        directory.case_records(data, of(data))


def test_places_of_a_package_allow_what_other_writers_do() -> None:
    # Padding, gaps and a deflated record that did not get smaller; a case may have none of it.
    loose = [
        *PACKAGE,
        Forged(b"oak/noise", b"\1", deflate=True, local_extra=b"FB\2\0\0\0", after=b"descriptor"),
        Forged(b"oak/.data/0.storage", b"weights"),
    ]
    data = forge(loose, sealed=False)
    records = directory.package_records(data, of(data))
    assert list(records) == [".data/extern_modules", "oak.py", "noise", ".data/0.storage"]
    storage = records[archives.name(".data/0.storage")]
    assert data[storage.offset : storage.offset + storage.packed] == b"weights"
    noise = records[archives.name("noise")]
    assert noise.packed > noise.size
    with pytest.raises(DamageError):
        directory.case_records(data, of(data))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Forged(b"oak/oak.py"), "two records of this name"),
        (Forged(b"oak/x", both={"flags": 1}), "encrypted"),
        (Forged(b"oak/x", central={15: 0o120777 << 16}), "symbolic link"),
        (Forged(b"oak/x", b"ab", both={"packed": 3, "size": 3}), "reaches into"),
        (Forged(b"oak/x", before=b"gap", central={16: BODY}), "no local header of its name"),
        (Forged(b"oak/x", central={16: 1 << 30}), "beyond the end"),
        (Forged(b"oak/x", local={3: 8}), "another compression method"),
    ],
)
def test_a_package_is_refused_where_it_could_be_read_in_two_ways(entry: Forged, words: str) -> None:
    data = forge([*PACKAGE, entry], sealed=False)
    with pytest.raises(DamageError, match=words) as caught:
        directory.package_records(data, of(data))
    assert caught.value.record == entry.name.removeprefix(b"oak/").decode()


def test_a_package_that_something_stands_before_is_refused() -> None:
    data = b"#!/bin/sh\n" + forge(PACKAGE, sealed=False)
    with pytest.raises(DamageError, match="something was put before it"):
        directory.package_records(data, of(data))
