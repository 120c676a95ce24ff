"""Records that are deflated in the background."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from wardian.archive import batches, layout
from wardian.archive.batches import Batches, PackedRecord, pack_lasting, pack_record
from wardian.archive.inflating import inflate
from wardian.domain.names import RecordName

SOURCE = b"class Oak: ...\n" * 40


def test_a_record_is_stored_where_deflating_makes_it_no_shorter() -> None:
    packed = pack_record(SOURCE)
    assert packed[0] == layout.DEFLATED
    assert inflate(packed.content, packed.size) == SOURCE
    assert packed[2:] == (zlib.crc32(SOURCE), len(SOURCE), hashlib.sha256(SOURCE).hexdigest())
    assert pack_record(b"oak") == PackedRecord(
        layout.STORED, b"oak", zlib.crc32(b"oak"), 3, hashlib.sha256(b"oak").hexdigest()
    )


def test_what_lasts_is_smaller_and_made_once() -> None:
    source = Path(__file__).read_bytes()
    packed, small = pack_record(source), pack_lasting(source)
    assert len(small.content) < len(packed.content)
    assert inflate(small.content, small.size) == source
    assert small._replace(content=packed.content) == packed
    assert pack_lasting(bytes(bytearray(source))) is small
    assert pack_lasting(b"oak") == pack_record(b"oak")


@pytest.mark.parametrize(("most", "records"), [(1 << 20, 1000), (2000, 1000), (1 << 20, 3)])
def test_batches_of_any_size_give_the_same_records(
    most: int, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_BATCH", most)
    monkeypatch.setattr(batches, "_BATCH_RECORDS", records)
    names = [RecordName(f"trees/oak{number}.py") for number in (7, 2, 9, 0, 5, 1, 8)]
    gathered = Batches()
    for name in names:
        assert name not in gathered
        gathered.add(name, SOURCE + name.encode(), lasting=name.endswith("5.py"))
        assert name in gathered
    assert len(gathered) == 7
    assert gathered.take() == [
        (name, (pack_lasting if name.endswith("5.py") else pack_record)(SOURCE + name.encode()))
        for name in sorted(names)
    ]
    assert len(gathered) == 0
    assert gathered.take() == []
    gathered.close()


def test_what_is_large_is_packed_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_LASTING", len(SOURCE) - 1)
    monkeypatch.setattr(batches, "deflate_small", None)
    assert pack_lasting(SOURCE) == pack_record(SOURCE)
