"""Modules in zip files, as files on the disk."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from wardian.environment.unpacking import on_disk, unpacked


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "grove.zip", "w") as written:
        written.writestr("oak/__init__.py", "AGE = 1\n")
    return tmp_path / "grove.zip"


def test_an_archive_is_unpacked_once_and_again_when_it_changes(archive: Path) -> None:
    folder = Path(unpacked(str(archive)))
    assert (folder / "oak/__init__.py").read_text() == "AGE = 1\n"
    assert unpacked(str(archive)) == str(folder)
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("oak/__init__.py", "AGE = 2\n")
    os.utime(archive, ns=(1, 1))
    assert (Path(unpacked(str(archive))) / "oak/__init__.py").read_text() == "AGE = 2\n"
    assert (folder / "oak/__init__.py").read_text() == "AGE = 1\n"  # who has it keeps it


def test_what_is_inside_has_a_path_in_the_copy(archive: Path) -> None:
    folder = unpacked(str(archive))
    assert on_disk(f"{archive}/oak/__init__.py") == f"{folder}/oak/__init__.py"
    assert on_disk(f"{archive}/oak") == f"{folder}/oak"
    assert on_disk(f"{archive}/missing.py") == f"{folder}/missing.py"


@pytest.mark.parametrize(
    "path", ["", "grove", "nowhere/oak.py", "/nowhere/at/all", "grove/oak.txt", "<string>"]
)
def test_all_else_is_where_it_says(path: str, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive.parent)
    (archive.parent / "grove").mkdir()
    assert on_disk(path) == path
    assert unpacked(path) == path


def test_a_file_that_is_no_archive_has_nothing_inside(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("note")
    assert unpacked(str(tmp_path / "note.txt")) == str(tmp_path / "note.txt")
    assert on_disk(str(tmp_path / "note.txt")) == str(tmp_path / "note.txt")
    assert on_disk(f"{tmp_path}/note.txt/inside") == f"{tmp_path}/note.txt/inside"
