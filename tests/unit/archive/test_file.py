"""Which file is open, and what becomes of it while it is."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from wardian.archive.content import open_content
from wardian.archive.file import ArchiveFile
from wardian.errors import ClosedCaseError, CorruptCaseError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "oak.case").write_bytes(b"leaves")
    return tmp_path / "oak.case"


def opened(source: Path | bytes, label: str | None = None) -> ArchiveFile:
    return ArchiveFile(open_content(source), label)


def test_a_file_is_told_from_another_of_its_name(path: Path) -> None:
    with opened(path) as file:
        stamp, status = file.stamp(), path.stat()
        assert (file.label, file.stem, len(file)) == (str(path), "oak", 6)
        assert file.held() == (status.st_dev, status.st_ino)
        assert file.is_unchanged()
        assert file.find_place() == str(path)
        os.replace(path, path.with_suffix(".old"))
        path.write_bytes(b"others")
        assert not file.is_unchanged()
        assert file.stamp() == stamp
        assert bytes(file.whole()) == b"leaves"
        if sys.platform.startswith("linux"):
            place = file.find_place()
            assert place is not None
            assert Path(place).read_bytes() == b"leaves"


def test_what_was_read_from_memory_is_no_file() -> None:
    with opened(b"leaves") as file:
        assert (file.path, file.label, file.stem) == (None, "<memory>", "memory")
        assert (file.held(), file.stamp(), file.identity(), file.find_place()) == (None,) * 4
        assert file.is_in_memory
        assert bytes(file.part(1, 3)) == b"ea"
        assert file.sha256() == hashlib.sha256(b"leaves").hexdigest()


def test_a_small_file_is_read_again_when_that_is_asked(path: Path) -> None:
    with opened(path) as file:
        path.write_bytes(b"needle")
        assert bytes(file.whole()) == b"leaves"
        file.reload()
        assert bytes(file.whole()) == b"needle"
        os.truncate(path, 2)
        with pytest.raises(CorruptCaseError, match="cut short"):
            file.reload()


def test_a_closed_file_says_so_by_its_label() -> None:
    file = opened(b"leaves", "https://a.org/oak.case")
    file.close()
    file.close()
    for use in (file.whole, file.sha256, file.__enter__):
        with pytest.raises(ClosedCaseError, match=r"^https://a\.org/oak\.case was closed; open it again\n"):
            use()
