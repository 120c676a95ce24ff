"""What is opened is what is read, and only a regular file is opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import wardian
from tests import archives
from tests.archives import name
from wardian.archive import ArchiveReader, FolderReader, content
from wardian.errors import CorruptCaseError, NotACaseError

STORAGE = name(".data/0.storage")
SOURCE = name("mylib/models/resnet.py")


@pytest.fixture(params=["in memory", "mapped", "in parts"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], ArchiveReader]:
    if request.param != "in memory":
        monkeypatch.setattr(content, "_READ_WHOLE", 0)
    return lambda path: ArchiveReader.open(path, mapped=request.param == "mapped")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    archives.small(tmp_path / "resnet.case")
    return tmp_path / "resnet.case"


def _special(kind: str, folder: Path) -> Path:
    place = folder / "special"
    match kind:
        case "FIFO":
            os.mkfifo(place)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(place))
        case _:
            return Path(os.devnull if kind == "device" else "/dev/zero")
    return place


@pytest.mark.parametrize("kind", ["FIFO", "socket", "device", "endless device"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_may_have_no_end_is_refused_at_once(kind: str, linked: bool, tmp_path: Path) -> None:
    place = _special(kind, tmp_path)
    if linked:
        (tmp_path / "model.case").symlink_to(place)
        place = tmp_path / "model.case"
    for use in (wardian.open, wardian.load, wardian.requirements, wardian.read_safetensors):
        with pytest.raises(NotACaseError, match=kind.removeprefix("endless ")) as caught:
            use(place)
        assert caught.value.path == str(place)


def test_an_open_device_is_refused() -> None:
    with open("/dev/zero", "rb") as file, pytest.raises(NotACaseError, match="device"):
        wardian.open(file)


def test_a_fifo_in_an_extracted_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data" / "extern_modules").write_text("")
    os.mkfifo(tmp_path / "model.pkl")
    with pytest.raises(NotACaseError, match="FIFO"):
        FolderReader(tmp_path).read(name("model.pkl"))


def test_every_way_gives_the_same(read: Callable[[Path], ArchiveReader], path: Path) -> None:
    wanted = archives.contents(path.read_bytes())
    with read(path) as reader:
        reader.expect(archives.table(reader.manifest))
        assert {record: reader.read(record) for record in reader.names} == wanted
        for record in reader.names:
            reader.verify(record, crc=True)
            assert reader.begins(record, 2) == wanted[record][:2]
        memory = bytearray(12)
        reader.read_into(STORAGE, memory)
        assert bytes(memory) == bytes(reader.view(STORAGE)) == wanted[STORAGE]
        assert bytes(reader.whole()) == path.read_bytes()


def test_a_path_that_leads_elsewhere_changes_nothing(
    read: Callable[[Path], ArchiveReader], path: Path
) -> None:
    with read(path) as reader:
        before = reader.held()
        archives.write(path.with_name("other.case"), [b"other"], {})
        path.with_name("other.case").replace(path)
        assert not reader.is_unchanged()
        assert reader.held() == before
        memory = bytearray(12)
        reader.read_into(STORAGE, memory)
        assert memory == b"\x00\x01\x02\x03" * 3
        place = reader.find_place()
        assert place is not None
        with ArchiveReader.open(place) as again:
            assert again.digest == reader.digest


@pytest.mark.parametrize("mapped", [False, True])
def test_a_file_that_was_cut_short_is_told_and_kills_nobody(
    mapped: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "_READ_WHOLE", 0)
    with ArchiveReader.open(path, mapped=mapped) as reader:
        os.truncate(path, 0)
        with pytest.raises(CorruptCaseError):
            reader.read(SOURCE)
        with pytest.raises(CorruptCaseError, match="cut short"):
            reader.read_into(STORAGE, bytearray(12))


def test_large_storages_are_checked_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_READ_WHOLE", 0)
    monkeypatch.setattr("wardian.archive.file.ArchiveFile._block", 5)
    with ArchiveReader.open(path, mapped=False) as reader:
        reader.expect(archives.table(reader.manifest))
        reader.verify(STORAGE, crc=True)
        offset, _ = reader.location(STORAGE)
        data = bytearray(path.read_bytes())
        data[offset + 11] ^= 1
        path.write_bytes(data)
        with pytest.raises(CorruptCaseError, match="CRC-32"):
            reader.verify(STORAGE, crc=True)
        with pytest.raises(CorruptCaseError, match="blake3"):
            reader.verify(STORAGE)
