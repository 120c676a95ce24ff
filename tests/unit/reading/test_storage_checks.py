"""No flipped bit of a weight is loaded."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import finish, run_python, start_python, write_case
from wardian.archive import ArchiveReader, content
from wardian.domain.names import RecordName
from wardian.environment.cache import alone, cache_folder
from wardian.reading.storage_checks import StorageChecks


@pytest.fixture(params=["read", "mapped"])
def case(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "mapped":
        monkeypatch.setattr(content, "_READ_WHOLE", 0)
    path = tmp_path / "weights.case"
    wardian.pack(
        {"weight": torch.arange(4096.0), "bias": torch.ones(3)},
        path,
        prove=False,
        metadata={"": str(tmp_path)},
    )
    return path


def _flip(path: Path, record: str) -> None:
    with wardian.open(path) as opened:
        offset, size = opened.mount.archive.location(record)  # type: ignore[arg-type]
    data = bytearray(path.read_bytes())
    data[offset + size // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("use", ["load", "tensors", "state_dict", "again"])
@pytest.mark.parametrize("record", [".data/0.storage", ".data/1.storage"])
def test_a_flipped_bit_is_found_whatever_reads_the_weights(case: Path, use: str, record: str) -> None:
    if use == "again":
        wardian.load(case)  # the file was good, and was remembered as such
    _flip(case, record)
    uses: dict[str, Callable[[wardian.Case], object]] = {
        "load": lambda opened: opened.load(),
        "again": lambda opened: opened.load(),
        "tensors": lambda opened: dict(opened.tensors),
        "state_dict": lambda opened: opened.state_dict(),
    }
    with wardian.open(case) as opened, pytest.raises(wardian.CorruptCaseError) as caught:
        uses[use](opened)
    assert caught.value.record == record


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_damaged_copy_is_told_though_the_case_is_open(case: Path, in_memory: bool, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / case.name
    copy.parent.mkdir()
    copy.write_bytes(case.read_bytes())
    _flip(copy, ".data/0.storage")
    with wardian.open(case) as opened, wardian.open(copy.read_bytes() if in_memory else copy) as damaged:
        with pytest.raises(wardian.CorruptCaseError) as caught:
            damaged.verify()
        assert caught.value.records == (".data/0.storage",)
        opened.verify()
        if in_memory:
            with pytest.raises(wardian.CorruptCaseError):
                damaged.load()
        else:  # of one name and digest, and so served by the file that was opened first
            assert torch.equal(damaged.load()["weight"], opened.load()["weight"])


def _change(path: Path, offset: int) -> None:
    """Flip a bit in place, and set the time of the last change back."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        (old,) = file.read(1)
        file.seek(offset)
        file.write(bytes([old ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_file_that_is_open_and_changed_is_checked_at_each_change(case: Path) -> None:
    with wardian.open(case) as opened:
        offset, _ = opened.mount.archive.location(RecordName(".data/0.storage"))
        opened.load()
        for _ in range(3):
            _change(case, offset)
            with pytest.raises(wardian.CorruptCaseError):
                opened.load()
            _change(case, offset)
            opened.load()


def test_a_file_that_is_open_and_replaced_stays_readable(case: Path) -> None:
    with wardian.open(case) as opened:
        expected = opened.load()["weight"]
        tensors = opened.tensors
        other = case.with_name("other.case")
        wardian.pack({"weight": torch.zeros(3)}, other, prove=False)
        other.replace(case)
        assert torch.equal(opened.load()["weight"], expected)
        assert torch.equal(tensors["weight"], expected)
        note = _note(opened.digest)
        before = note.read_text() if note.exists() else None
        opened.load()
        assert (note.read_text() if note.exists() else None) == before


@pytest.mark.parametrize("words", [b"", b"another file", b"\xff" * 1000, bytes(3)])
def test_a_damaged_note_counts_for_nothing(case: Path, words: bytes) -> None:
    with wardian.open(case) as opened:
        opened.load()
        digest = opened.digest
    folder = cache_folder()
    assert folder is not None
    (folder / "verified" / digest).write_bytes(words)
    _flip(case, ".data/0.storage")
    with wardian.open(case) as opened, pytest.raises(wardian.CorruptCaseError):
        opened.load()


def test_from_memory_too(case: Path) -> None:
    _flip(case, ".data/1.storage")
    with pytest.raises(wardian.CorruptCaseError):
        wardian.load(case.read_bytes())


def _note(digest: str) -> Path:
    folder = cache_folder()
    assert folder is not None
    return folder / "verified" / digest


def _noted(case: Path) -> Path:
    """Load a case until its check is noted, which it is not a moment after a change; return the note."""
    while True:  # until the clock of the file system has moved on
        with wardian.open(case) as opened:
            opened.load()
            note = _note(opened.digest)
        if note.exists():
            return note


def test_a_file_that_was_checked_is_remembered(case: Path) -> None:
    note = _noted(case)
    stamp = note.read_text()
    note.write_text("another file")
    with wardian.open(case) as opened:
        opened.load()
    assert note.read_text().rpartition(" ")[0] == stamp.rpartition(" ")[0]


def _written(note: Path) -> tuple[int, int]:
    """Return what tells that a file was not written anew; the time of its reading may change."""
    found = note.stat()
    return found.st_ino, found.st_mtime_ns


def test_a_check_that_is_noted_is_not_made_again(case: Path) -> None:
    note = _noted(case)
    with wardian.open(case) as opened:
        before = _written(note)
        opened.load()
        assert _written(note) == before


@pytest.mark.parametrize("days", [31, -1])
def test_after_some_days_a_file_is_checked_again(case: Path, days: int) -> None:
    note = _noted(case)
    stamp, _, seconds = note.read_text().rpartition(" ")
    old = f"{stamp} {int(seconds) - days * 86_400}"
    note.write_text(old)
    with wardian.open(case) as opened:
        opened.load()
    assert note.read_text() != old


def _write_through_mapping(path: Path, offset: int, flips: int) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[offset] ^= flips


def test_a_page_that_was_not_on_the_disk_is_checked_again_when_it_changes(case: Path) -> None:
    with wardian.open(case) as opened:
        offset, _ = opened.mount.archive.location(RecordName(".data/0.storage"))
    with case.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[offset] ^= 0  # from now on the page is dirty, and writing to it leaves no trace
        _noted(case)
        memory[offset] ^= 1
        with wardian.open(case) as opened, pytest.raises(wardian.CorruptCaseError):
            opened.load()


def test_where_no_times_tell_of_changes_every_load_checks(case: Path) -> None:
    # A file in memory, which is of tmpfs.
    descriptor = os.memfd_create("weights")
    try:
        place = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        place.write_bytes(case.read_bytes())
        with wardian.open(place) as opened:
            offset, _ = opened.mount.archive.location(RecordName(".data/0.storage"))
            opened.load()
        _write_through_mapping(place, offset, 1)
        with wardian.open(place) as opened, pytest.raises(wardian.CorruptCaseError):
            opened.load()
    finally:
        os.close(descriptor)


# Reading in place of mapping


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(content, "_READ_WHOLE", 0)
    path = tmp_path / "large.case"
    wardian.pack({"weight": torch.arange(4096.0)}, path, prove=False, metadata={"": str(tmp_path)})
    return path


@pytest.mark.parametrize("use", ["load", "open"])
def test_weights_that_are_read_do_not_change_with_the_file(large: Path, use: str) -> None:
    if use == "load":
        weight = wardian.load(large, mmap=False)["weight"]
    else:
        with wardian.open(large, mmap=False) as opened:
            weight = opened.state_dict()["weight"]
    size = large.stat().st_size
    large.write_bytes(bytes(size))
    assert torch.equal(weight, torch.arange(4096.0))
    os.truncate(large, 0)
    assert torch.equal(weight, torch.arange(4096.0))


@pytest.mark.parametrize("use", ["load", "tensors", "state_dict"])
def test_weights_that_are_read_are_checked_as_they_were_read(large: Path, use: str) -> None:
    _noted(large)
    with wardian.open(large, mmap=False) as opened:
        offset, _ = opened.mount.archive.location(RecordName(".data/0.storage"))
        _change(large, offset)
        uses: dict[str, Callable[[], object]] = {
            "load": opened.load,
            "tensors": lambda: opened.tensors["weight"],
            "state_dict": opened.state_dict,
        }
        with pytest.raises(wardian.CorruptCaseError) as caught:
            uses[use]()
        assert caught.value.record == ".data/0.storage"
        _change(large, offset)
        uses[use]()


def test_a_mapped_file_that_was_cut_short_is_told(large: Path) -> None:
    for verify in (False, True):
        data = large.read_bytes()
        with wardian.open(large, verify=verify) as opened:
            tensors = opened.tensors
            os.truncate(large, 4096)
            with pytest.raises(wardian.CorruptCaseError, match="cut short"):
                opened.load()
            with pytest.raises(wardian.CorruptCaseError, match="cut short"):
                tensors["weight"]
        large.write_bytes(data)


def test_whoever_waits_is_told_how_many_bytes_are_checked(tmp_path: Path) -> None:
    path = write_case(tmp_path / "oak.case", "--- oak.py\n", storages=(b"leaf" * 100, b"bark" * 50))
    told: list[tuple[int, int]] = []
    with ArchiveReader.open(path) as archive:
        assert StorageChecks(archive).find_damage(lambda done, total: told.append((done, total))) == []
        total = sum(map(archive.size, archive.names))
    assert told[-2:] == [(total, total), (0, 0)]
    assert [done for done, _ in told[:-1]] == sorted({done for done, _ in told[:-1]})


# Several processes

_COUNT = """
    import sys, wardian
    from wardian.archive import ArchiveReader, content
    content._READ_WHOLE = 0
    checked, verify = [], ArchiveReader.verify
    def noting(self, name, **options):
        checked.append(str(name))
        verify(self, name, **options)
    ArchiveReader.verify = noting
    with wardian.open(sys.argv[1]) as case:
        if sys.argv[2] == "all":
            case.load()
        else:
            case.tensors.check(sys.argv[2:])
    print(checked)
"""


def _checked_by_another(case: Path, *names: str) -> str:
    return run_python(_COUNT, case, *names, folder=case.parent).strip()


@pytest.fixture
def shared(large: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose notes are in the folder that `run_python` gives its processes."""
    monkeypatch.setenv("WARDIAN_CACHE", str(large.parent / "cache"))
    wardian.pack({"weight": torch.arange(4096.0), "bias": torch.ones(99)}, large, prove=False)
    return large


def test_what_another_process_has_checked_is_not_checked_again(shared: Path) -> None:
    while _checked_by_another(shared, "bias") != "[]":  # until the clock of the file system has moved on
        pass
    assert _checked_by_another(shared, "weight") == "['.data/0.storage']"
    assert _checked_by_another(shared, "weight", "bias") == "[]"
    assert _checked_by_another(shared, "all") == "[]"


def test_of_a_file_of_which_some_was_checked_the_rest_is(shared: Path) -> None:
    while _checked_by_another(shared, "bias") != "[]":
        pass
    _flip(shared, ".data/0.storage")
    with wardian.open(shared) as opened, pytest.raises(wardian.CorruptCaseError):
        opened.load()


def test_others_wait_for_the_process_that_checks(shared: Path) -> None:
    note = _noted(shared)
    said = note.read_text()
    note.unlink()
    with alone(note.with_suffix(".lock")):
        waiting = start_python(_COUNT, shared, "all", folder=shared.parent)
        while not re.search(rf"-> POSIX .* {waiting.pid} ", Path("/proc/locks").read_text()):
            assert waiting.poll() is None
        note.write_text(said)
    assert finish(waiting).strip() == "[]"
