"""A case that lies elsewhere: its storages come when they are asked for, and are never zeros."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.archives import name, table, write
from wardian.archive import ArchiveReader, layout
from wardian.archive.remote.copies import LocalCopy
from wardian.archive.remote.reader import RemoteReader
from wardian.archive.remote.sources import ChangedError, NoRangesError
from wardian.domain.record_names import storage_record
from wardian.errors import CorruptCaseError, RemoteError

LABEL = "http://models.example/oak.case"
STORAGES = [random.Random(seed).randbytes(size) for seed, size in enumerate((70_000, 300, 0, 5_000))]
OAK = name("oak.py")


class Elsewhere:
    """The file, and what was asked of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked = 0
        self.fails: Exception | None = None
        self.is_other = False

    def __call__(self) -> Elsewhere:
        return self

    def read(self, start: int, stop: int) -> bytes:
        self.asked += stop - start
        if self.fails is not None:
            raise self.fails
        return self.content[start:stop]

    def has_changed(self) -> bool:
        return self.is_other


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    records = {"oak.py": b"class Oak: ...\n" * 40, "noise": random.Random(9).randbytes(50)}
    return write(tmp_path / "oak.case", STORAGES, records)


@pytest.fixture
def elsewhere(whole: bytes) -> Elsewhere:
    return Elsewhere(whole)


@pytest.fixture
def place(whole: bytes, tmp_path: Path) -> Path:
    """A copy with all but the storages."""
    (tmp_path / "copy").mkdir()
    skeleton = tmp_path / "copy/skeleton"
    with ArchiveReader.open(whole) as archive:
        holes = bytearray(whole)
        for number in range(len(STORAGES)):
            start, size = archive.location(storage_record(number))
            holes[start : start + size] = bytes(size)
    skeleton.write_bytes(layout.PARTIAL_SIGNATURE + holes[4:])
    LocalCopy.make(tmp_path / "copy/model.case", skeleton, bytes(len(STORAGES)))
    return tmp_path / "copy/model.case"


Open = Callable[[], RemoteReader]


@pytest.fixture(params=[True, False], ids=["mapped", "in parts"])
def opened(request: pytest.FixtureRequest, place: Path, elsewhere: Elsewhere) -> Iterator[RemoteReader]:
    with opening(place, elsewhere, mapped=request.param) as reader:
        yield reader


def opening(place: Path, elsewhere: Elsewhere, *, mapped: bool = True) -> RemoteReader:
    reader = RemoteReader(LocalCopy(place), elsewhere, LABEL, mapped=mapped)  # type: ignore[arg-type]
    reader.expect(table(reader.manifest))
    return reader


def test_to_look_at_what_is_no_weight_asks_nobody(opened: RemoteReader, elsewhere: Elsewhere) -> None:
    assert opened.read(OAK) == b"class Oak: ...\n" * 40
    assert (opened.storage_count, opened.stem, opened.label) == (4, "oak", LABEL)
    assert opened.absent() == {storage_record(number) for number in range(4)}
    assert elsewhere.asked == 0


def test_a_storage_comes_when_it_is_asked_for_and_no_other(
    opened: RemoteReader, elsewhere: Elsewhere
) -> None:
    assert opened.read(storage_record(1)) == STORAGES[1]
    assert elsewhere.asked == len(STORAGES[1])
    assert storage_record(1) not in opened.absent()
    opened.read(storage_record(1))
    target = bytearray(len(STORAGES[3]))
    opened.read_into(storage_record(3), target)
    assert target == STORAGES[3]
    assert elsewhere.asked == len(STORAGES[1]) + len(STORAGES[3])


def test_every_way_to_bytes_brings_them(place: Path, elsewhere: Elsewhere, whole: bytes) -> None:
    ways: list[tuple[Callable[[RemoteReader], object], object]] = [
        (lambda reader: bytes(reader.part(0, len(whole))), whole),
        (lambda reader: bytes(reader.part(0, 8)), whole[:8]),
        (lambda reader: reader.begins(storage_record(0), 5), STORAGES[0][:5]),
        (lambda reader: bytes(reader.view(storage_record(0))), STORAGES[0]),
        (lambda reader: bytes(reader.part(*span_within(reader))), STORAGES[0][-10:]),
    ]
    empty = place.with_name("model.case.map").read_bytes(), place.read_bytes()
    for way, found in ways:
        with opening(place, elsewhere) as reader:
            assert way(reader) == found
        place.with_name("model.case.map").write_bytes(empty[0])
        place.write_bytes(empty[1])


def span_within(reader: RemoteReader) -> tuple[int, int]:
    start, size = reader.location(storage_record(0))
    return start + size - 10, start + size


def test_when_all_came_the_copy_is_the_file(opened: RemoteReader, place: Path, whole: bytes) -> None:
    before = opened.identity()
    opened.fetch(opened.names)
    assert opened.absent() == frozenset()
    assert place.read_bytes() == whole
    assert opened.is_unchanged()
    assert before is not None
    place.unlink()
    assert not opened.is_unchanged()


def test_what_came_is_checked(opened: RemoteReader, elsewhere: Elsewhere, whole: bytes) -> None:
    elsewhere.content = bytes(len(whole))
    with pytest.raises(CorruptCaseError) as caught:
        opened.read(storage_record(1))
    assert caught.value.record == storage_record(1)
    assert storage_record(1) in opened.absent()
    elsewhere.is_other = True
    with pytest.raises(RemoteError, match="is another file by now than the one that was opened"):
        opened.read(storage_record(1))
    elsewhere.content = whole
    assert opened.read(storage_record(1)) == STORAGES[1]


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (ChangedError(), "is another file by now than the one that was opened"),
        (NoRangesError(), "gives no parts of files any more; open it again"),
    ],
)
def test_a_server_that_has_another_file_is_told(
    fails: Exception, words: str, opened: RemoteReader, elsewhere: Elsewhere
) -> None:
    elsewhere.fails = fails
    with pytest.raises(RemoteError, match=words) as caught:
        opened.fetch([storage_record(0)])
    assert caught.value.path == LABEL


def test_a_part_that_was_damaged_here_is_read_again_once(
    opened: RemoteReader, elsewhere: Elsewhere, place: Path
) -> None:
    opened.fetch(opened.names)
    start, size = opened.location(storage_record(3))
    opened.verify(storage_record(3))  # it was checked when it came
    with place.open("r+b") as file:
        file.seek(start)
        file.write(b"damaged")
    before = elsewhere.asked
    opened.verify(storage_record(3))
    assert elsewhere.asked == before + size
    assert opened.read(storage_record(3)) == STORAGES[3]


def test_damage_that_cannot_be_read_again_makes_the_copy_go(place: Path, elsewhere: Elsewhere) -> None:
    with opening(place, elsewhere, mapped=False) as reader:
        start, _ = reader.location(name("noise"))
        with place.open("r+b") as file:
            file.seek(start)
            file.write(b"damaged")
        with pytest.raises(CorruptCaseError):
            reader.read(name("noise"))
    assert not place.exists()


def test_a_map_of_another_number_of_storages_is_damage(place: Path, elsewhere: Elsewhere) -> None:
    place.with_name("model.case.map").write_bytes(b"\1" + bytes(len(STORAGES) + 1))
    copy = LocalCopy(place)
    with pytest.raises(CorruptCaseError, match="the map of its local copy is damaged"):
        RemoteReader(copy, elsewhere, LABEL)  # type: ignore[arg-type]
    copy.close()


def test_to_close_releases_the_copy_once(place: Path, elsewhere: Elsewhere) -> None:
    released: list[int] = []
    reader = RemoteReader(LocalCopy(place), elsewhere, LABEL, release=lambda: released.append(1))  # type: ignore[arg-type]
    reader.close()
    reader.close()
    assert released == [1]
