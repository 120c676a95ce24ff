"""No flipped bit of a weight is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import wardian
from wardian.live.files import cache_folder
from wardian.names import RecordName


@pytest.fixture
def case(tmp_path: Path) -> Path:
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
        offset, size = opened.root.archive.location(record)  # type: ignore[arg-type]
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
        offset, _ = opened.root.archive.location(RecordName(".data/0.storage"))
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
        other = case.with_name("other.case")
        wardian.pack({"weight": torch.zeros(3)}, other, prove=False)
        other.replace(case)
        assert torch.equal(opened.load()["weight"], expected)
        folder = cache_folder()
        assert folder is not None
        stamp = (folder / "verified" / opened.digest).read_text()
        opened.load()
        assert (folder / "verified" / opened.digest).read_text() == stamp


@pytest.mark.parametrize("content", [b"", b"another file", b"\xff" * 1000, bytes(3)])
def test_a_damaged_note_counts_for_nothing(case: Path, content: bytes) -> None:
    with wardian.open(case) as opened:
        opened.load()
        digest = opened.digest
    folder = cache_folder()
    assert folder is not None
    (folder / "verified" / digest).write_bytes(content)
    _flip(case, ".data/0.storage")
    with wardian.open(case) as opened, pytest.raises(wardian.CorruptCaseError):
        opened.load()


def test_from_memory_too(case: Path) -> None:
    _flip(case, ".data/1.storage")
    with pytest.raises(wardian.CorruptCaseError):
        wardian.load(case.read_bytes())


def test_a_file_that_was_checked_is_remembered(case: Path) -> None:
    with wardian.open(case) as opened:
        digest = opened.digest
        opened.load()
    folder = cache_folder()
    assert folder is not None
    note = folder / "verified" / digest
    stamp = note.read_text()
    note.write_text("another file")
    with wardian.open(case) as opened:
        opened.load()
    assert note.read_text() == stamp
