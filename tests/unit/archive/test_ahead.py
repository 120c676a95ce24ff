"""What is read ahead: the bytes that the system says were read, which pages of a mapped file are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.archives import write
from wardian.archive import ArchiveReader, descriptors
from wardian.archive.ahead import read_ahead
from wardian.domain.names import RecordName

MIB = 1 << 20
IO = Path("/proc/self/io")
pytestmark = pytest.mark.skipif(not IO.exists(), reason="the system does not count what a process reads")


def bytes_read() -> int:
    """Return how many bytes the calls of this process have read, those of page faults left out."""
    return int(IO.read_text().split()[1])


def test_every_byte_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(40 * MIB))
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    before = bytes_read()
    read_ahead(descriptor, [(20 * MIB, 17 * MIB), (0, 5), (7, 0)])
    assert 0 <= bytes_read() - before - (17 * MIB + 5) < 10_000
    os.close(descriptor)


def test_records_of_a_network_disk_are_read_ahead_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.case"
    write(path, [os.urandom(20 * MIB), os.urandom(10 * MIB)], {"mylib/a.py": b"x = 1\n"})
    names = [RecordName(".data/1.storage"), RecordName("mylib/a.py")]
    with ArchiveReader.open(path) as archive:
        before = bytes_read()
        archive.fetch(names)
        assert bytes_read() - before < 10_000
        assert not archive.reads_ahead
        kind = descriptors._kind(archive.descriptor or 0)
    assert kind is not None
    monkeypatch.setitem(descriptors._NETWORK, kind, "the kind of this one")
    with ArchiveReader.open(path) as archive:
        before = bytes_read()
        archive.fetch(names)
        archive.fetch(names)
        assert 0 <= bytes_read() - before - 10 * MIB < 10_000
    with ArchiveReader.open(path, mapped=False) as archive:
        assert not archive.reads_ahead


def test_a_part_of_a_record_is_read_and_no_more(tmp_path: Path) -> None:
    content = os.urandom(8 * MIB)
    write(tmp_path / "m.case", [b"bark", content], {"mylib/a.py": b"x = 1\n"})
    name = RecordName(".data/1.storage")
    with ArchiveReader.open(tmp_path / "m.case") as archive:
        target = bytearray(MIB)
        before = bytes_read()
        archive.read_into(name, target, 3 * MIB)
        assert 0 <= bytes_read() - before - MIB < 10_000
        assert target == content[3 * MIB : 4 * MIB]
        for start in (-1, 7 * MIB + 1):
            with pytest.raises(ValueError, match="has no 1,048,576 bytes from"):
                archive.read_into(name, target, start)
