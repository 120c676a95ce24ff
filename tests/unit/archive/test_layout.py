"""The headers of a container, as other readers of ZIP files understand them."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.archive import layout
from wardian.archive.crc import crc32

MARK = 0xFFFFFFFF


def test_stock_python_reads_what_is_laid_out() -> None:
    content = b"class Oak: ...\n"
    name, storage = b"case/oak.py", b"case/.data/0.storage"
    check = crc32(content)
    padded = layout.storage_header(storage, check, len(content), 0) + content
    local = layout.local_header(name, layout.STORED, check, len(content), len(content)) + content
    directory = layout.central_header(
        storage, layout.STORED, check, len(content), len(content), 0
    ) + layout.central_header(name, layout.STORED, check, len(content), len(content), len(padded))
    start = len(padded + local)
    with zipfile.ZipFile(
        io.BytesIO(padded + local + directory + layout.end_records(2, len(directory), start))
    ) as stock:
        assert stock.testzip() is None
        assert {info.filename: info.date_time for info in stock.infolist()} == {
            "case/.data/0.storage": (1980, 1, 1, 0, 0, 0),
            "case/oak.py": (1980, 1, 1, 0, 0, 0),
        }


@given(
    st.binary(min_size=1, max_size=99),
    st.sampled_from([0, 1, (1 << 20) - 1, 1 << 20, MARK - 1, MARK, 1 << 40]),
    st.integers(0, 1 << 40),
)
def test_a_storage_is_aligned_with_as_little_as_does_it(name: bytes, size: int, offset: int) -> None:
    header = layout.storage_header(name, 0, size, offset)
    alignment = 4096 if size >= 1 << 20 else 64
    assert (offset + len(header)) % alignment == 0
    identifier, padding = struct.unpack_from("<2H", header, 30 + len(name) + (20 if size >= MARK else 0))
    assert identifier == 0x4246
    assert padding < alignment
    assert header.endswith(bytes(padding))


@pytest.mark.parametrize("size", [MARK - 1, MARK])
def test_a_storage_has_zip64_sizes_from_the_mark_on(size: int) -> None:
    header = layout.storage_header(b"case/.data/0.storage", 0, size, 0)
    version, shown = struct.unpack_from("<H", header, 4)[0], struct.unpack_from("<2L", header, 18)
    if size < MARK:
        assert (version, shown) == (20, (size, size))
    else:
        assert (version, shown) == (45, (MARK, MARK))
        assert struct.unpack_from("<2H2Q", header, 30 + 20) == (1, 16, size, size)


@given(*[st.sampled_from([0, MARK - 1, MARK, MARK + 1])] * 3)
def test_only_what_does_not_fit_stands_in_the_zip64_field(packed: int, size: int, offset: int) -> None:
    header = layout.central_header(b"case/a", layout.STORED, 0, packed, size, offset)
    wide = [value for value in (size, packed, offset) if value >= MARK]
    extra = header[46 + len(b"case/a") :]
    assert extra == (struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b"")
    assert struct.unpack_from("<2L", header, 20) == (min(packed, MARK), min(size, MARK))
    assert struct.unpack_from("<L", header, 42) == (min(offset, MARK),)


@pytest.mark.parametrize(
    ("count", "size", "offset", "is_wide"),
    [
        (0xFFFE, MARK - 1, MARK - 1, False),
        (0xFFFF, 0, 0, True),
        (0, MARK, 0, True),
        (0, 0, MARK, True),
    ],
)
def test_a_zip64_end_record_is_there_only_where_it_is_needed(
    count: int, size: int, offset: int, is_wide: bool
) -> None:
    tail = layout.end_records(count, size, offset)
    assert len(tail) == (56 + 20 if is_wide else 0) + 22
    assert layout.END.unpack(tail[-22:])[4:7] == (min(count, 0xFFFF), min(size, MARK), min(offset, MARK))
    if is_wide:
        assert layout.END64.unpack(tail[:56])[-4:] == (count, count, size, offset)
        assert layout.LOCATOR.unpack(tail[56:76]) == (b"PK\x06\x07", 0, offset + size, 1)


def test_fields_have_a_name_each() -> None:
    assert len(layout.LOCAL_FIELDS) == len(layout.LOCAL.unpack(bytes(layout.LOCAL.size)))
    assert len(layout.CENTRAL_FIELDS) == len(layout.CENTRAL.unpack(bytes(layout.CENTRAL.size)))
