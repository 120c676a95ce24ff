"""The local copy of a file that lies elsewhere: what is here, what counts as here, what it never shows."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wardian.archive import layout
from wardian.archive.remote import copies
from wardian.archive.remote.copies import LocalCopy, require_room, room_in
from wardian.archive.remote.ranges import Span

CONTENT = b"PK\x03\x04" + random.Random(3).randbytes(400_000)
SPANS = {
    0: Span(100, 200_000),
    1: Span(200_000, 200_000),  # an empty one
    2: Span(200_050, 210_000),
    3: Span(390_000, 400_004),
}
TOTAL = sum(span.size for span in SPANS.values())


def none(*_: int) -> None:
    pass


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy in which no storage is here; all between them is."""
    (tmp_path / "copy").mkdir()
    skeleton = tmp_path / "copy/skeleton"
    holes = bytearray(CONTENT)
    for span in SPANS.values():
        holes[span.start : span.stop] = bytes(span.size)
    skeleton.write_bytes(layout.PARTIAL_SIGNATURE + holes[4:])
    LocalCopy.make(tmp_path / "copy/model.case", skeleton, bytes(len(SPANS)))
    assert not skeleton.exists()
    return tmp_path / "copy/model.case"


@pytest.fixture
def copy(place: Path) -> Iterator[LocalCopy]:
    opened = LocalCopy(place)
    yield opened
    opened.close()


class Elsewhere:
    """The file, and what was read of it."""

    def __init__(self) -> None:
        self.asked: list[Span] = []

    def read(self, start: int, stop: int) -> bytes:
        self.asked.append(Span(start, stop))
        return CONTENT[start:stop]


def missing(copy: LocalCopy) -> list[int]:
    return [number for number in SPANS if not copy.has(number)]


def test_what_comes_is_written_where_it_lies_and_counts_when_it_was_checked(copy: LocalCopy) -> None:
    elsewhere, checked = Elsewhere(), list[int]()

    def check(number: int) -> None:
        span = SPANS[number]
        assert not copy.has(number)
        assert copy.path.read_bytes()[span.start : span.stop] == CONTENT[span.start : span.stop]
        checked.append(number)

    copy.fill({0: SPANS[0], 2: SPANS[2]}, elsewhere.read, check, none)
    assert sorted(checked) == [0, 2]
    assert missing(copy) == [1, 3]
    assert not copy.is_complete
    copy.fill(SPANS, elsewhere.read, check, none)
    assert sorted(checked) == [0, 1, 2, 3]
    assert copy.is_complete
    # The gap of 50 bytes came along; nothing else came twice.
    assert sum(span.size for span in elsewhere.asked) == TOTAL + 50
    assert copy.path.read_bytes() == CONTENT


def test_it_does_not_begin_as_an_archive_until_all_is_there(copy: LocalCopy) -> None:
    def begins() -> bytes:
        return copy.path.read_bytes()[:4]

    copy.fill({0: SPANS[0]}, Elsewhere().read, none, none)
    assert begins() == layout.PARTIAL_SIGNATURE
    assert LocalCopy.is_partial(copy.path)
    copy.fill(SPANS, Elsewhere().read, none, none)
    assert begins() == layout.LOCAL_SIGNATURE
    assert not LocalCopy.is_partial(copy.path)
    copy.forget(2)
    assert begins() == layout.PARTIAL_SIGNATURE
    assert missing(copy) == [2]
    copy.fill(SPANS, Elsewhere().read, none, none)
    assert begins() == layout.LOCAL_SIGNATURE


def test_what_is_damaged_does_not_count(copy: LocalCopy) -> None:
    def check(number: int) -> None:
        if number == 2:
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        copy.fill(SPANS, Elsewhere().read, check, none)
    assert 2 in missing(copy)
    with closing(LocalCopy(copy.path)) as again:
        assert 2 in missing(again)


def test_an_error_of_the_line_is_told_and_what_came_before_counts(copy: LocalCopy) -> None:
    def read(start: int, stop: int) -> bytes:
        if start > 300_000:
            raise ConnectionError("gone")
        return CONTENT[start:stop]

    told: list[tuple[int, int]] = []
    copy.fill({0: SPANS[0]}, read, none, none)
    with pytest.raises(ConnectionError):
        copy.fill({3: SPANS[3]}, read, none, lambda *numbers: told.append(numbers))
    assert missing(copy) == [1, 2, 3]
    assert told == [(0, SPANS[3].size), (0, 0)]


def test_who_watches_is_told_of_the_beginning_of_all_and_of_the_end(copy: LocalCopy) -> None:
    told: list[tuple[int, int]] = []
    copy.fill(SPANS, Elsewhere().read, none, lambda *numbers: told.append(numbers))
    assert told[0] == (0, TOTAL)
    assert told[-2:] == [(TOTAL, TOTAL), (0, 0)]
    assert [done for done, _ in told[:-1]] == sorted(done for done, _ in told[:-1])
    told.clear()
    copy.fill(SPANS, Elsewhere().read, none, lambda *numbers: told.append(numbers))
    assert told == [(0, 0)]


def test_much_is_filled_in_turns_so_that_others_get_theirs(
    copy: LocalCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_TURN", 10_000)
    rooms: list[int] = []
    monkeypatch.setattr(copies, "require_room", lambda folder, size: rooms.append(size))
    copy.fill(SPANS, Elsewhere().read, none, none)
    assert rooms == [SPANS[0].size, SPANS[2].size, SPANS[3].size]


def test_another_process_finds_what_this_one_brought(place: Path) -> None:
    with closing(LocalCopy(place)) as one, closing(LocalCopy(place)) as other:
        one.fill(SPANS, Elsewhere().read, none, none)
        elsewhere = Elsewhere()
        assert missing(other) == [0, 1, 2, 3]
        other.fill(SPANS, elsewhere.read, none, none)
        assert (elsewhere.asked, other.is_complete) == ([], True)


def test_two_at_once_bring_everything_once(place: Path) -> None:
    elsewhere = Elsewhere()

    def bring() -> None:
        with closing(LocalCopy(place)) as mine:
            mine.fill(SPANS, elsewhere.read, none, none)

    threads = [threading.Thread(target=bring) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(span.size for span in elsewhere.asked) == TOTAL + 50
    assert place.read_bytes() == CONTENT


# The file and its map


def test_a_file_without_its_map_counts_as_nothing_and_is_made_anew(place: Path, tmp_path: Path) -> None:
    map_of = place.with_name("model.case.map")
    map_of.write_bytes(b"")  # one that was emptied says nothing
    assert LocalCopy.is_partial(place)
    map_of.unlink()
    assert not LocalCopy.is_partial(place)
    with pytest.raises(FileNotFoundError):
        LocalCopy(place)
    skeleton = place.parent / "other"
    skeleton.write_bytes(CONTENT)
    LocalCopy.make(place, skeleton, b"\1" * len(SPANS))
    with closing(LocalCopy(place)) as whole:
        assert (whole.is_complete, whole.count) == (True, len(SPANS))


def test_who_was_faster_has_made_it(copy: LocalCopy) -> None:
    copy.fill({0: SPANS[0]}, Elsewhere().read, none, none)
    skeleton = copy.path.parent / "slower"
    skeleton.write_bytes(b"other")
    LocalCopy.make(copy.path, skeleton, bytes(len(SPANS)))
    with closing(LocalCopy(copy.path)) as again:
        assert missing(again) == [1, 2, 3]
    assert copy.path.stat().st_size == len(CONTENT)


def test_a_map_of_another_file_is_not_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = os.open

    def exchanging(path: Path, *flags: int) -> int:
        descriptor = opening(path, *flags)
        if path == place:  # the map was opened, and now both are replaced
            LocalCopy.discard(place)
            shutil.copy(elsewhere, place)
            place.with_name("model.case.map").write_bytes(b"\1" * 5)
        return descriptor

    elsewhere = place.parent / "elsewhere"
    elsewhere.write_bytes(CONTENT)
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "open", exchanging)
    with pytest.raises(FileNotFoundError, match="the copy was replaced"):
        LocalCopy(place)
    monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_copy_that_is_not_sound_goes_with_its_map(place: Path) -> None:
    LocalCopy.discard(place)
    assert [path.name for path in place.parent.iterdir()] == ["lock"]
    LocalCopy.discard(place)


def test_a_file_that_is_being_made_has_no_map(place: Path) -> None:
    place.with_name("model.case.map").unlink()
    with closing(LocalCopy(place, has_map=False)) as making:
        assert (making.is_complete, making.count, making.has(2)) == (True, None, True)
        descriptor = making.descriptor()
    assert os.fstat(descriptor).st_size == len(CONTENT)  # another one, which stays
    os.close(descriptor)


# Room


def test_nothing_begins_for_which_there_is_no_room(copy: LocalCopy, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path, 0)
    with pytest.raises(OSError, match="bytes are needed; make room, or let WARDIAN_CACHE name") as caught:
        require_room(tmp_path, 2 * free)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    elsewhere, far = Elsewhere(), {0: Span(0, 2 * free)}
    with pytest.raises(OSError, match="the disk is full"):
        copy.fill(far, elsewhere.read, none, none)
    assert elsewhere.asked == []


def fails(number: int, words: str | None = None) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, words or os.strerror(number), "file")

    return fail


def test_a_full_disk_is_named_and_other_errors_stay(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(OSError, match="the disk is full: make room") as caught, room_in(tmp_path):
            fails(number)()
        assert caught.value.filename == str(tmp_path)
    with pytest.raises(OSError, match="its own words") as caught, room_in(tmp_path):
        fails(errno.ENOSPC, "its own words")()
    assert caught.value.filename == "file"
    with pytest.raises(PermissionError), room_in(tmp_path):
        fails(errno.EACCES)()
