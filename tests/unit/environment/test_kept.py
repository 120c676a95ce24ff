"""Small files of the cache folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wardian.environment.kept import read_kept, write_kept


def test_what_is_written_is_read_and_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "facts" / "oak"
    assert read_kept(file, 100) == b""
    write_kept(file, [b"bark\n", b"leaf\n"])
    assert read_kept(file, 10) == b"bark\nleaf\n"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    write_kept(file, [b"root\n"])
    assert read_kept(file, 10) == b"root\n"
    assert os.listdir(file.parent) == ["oak"]


def test_what_is_too_large_or_no_file_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "oak"
    write_kept(file, [b"x" * 11])
    assert read_kept(file, 10) == b""
    file.unlink()
    os.mkfifo(file)  # whoever opens it to read waits for a writer
    assert read_kept(file, 10) == b""
    assert read_kept(tmp_path, 10) == b""


def test_a_write_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def lines() -> Iterator[bytes]:
        yield b"bark"
        raise KeyboardInterrupt

    write_kept(tmp_path / "oak", [b"leaf"])
    with pytest.raises(KeyboardInterrupt):
        write_kept(tmp_path / "oak", lines())
    assert os.listdir(tmp_path) == ["oak"]
    assert read_kept(tmp_path / "oak", 10) == b"leaf"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "oak"
    (file / "in the way").mkdir(parents=True)
    write_kept(file, [b"bark"])
    assert os.listdir(tmp_path) == ["oak"]
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    write_kept(folder / "oak", [b"bark"])  # others could write there
    assert os.listdir(folder) == []
