"""Folders for what is passed on: who can enter them, and which are swept."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from wardian.processes.folders import work_folder


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_private_and_removed(parent: Path) -> None:
    before = os.umask(0)
    try:
        with work_folder() as folder:
            (folder / "object.pkl").touch()
            assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert list(parent.iterdir()) == []


def test_a_folder_goes_whatever_strangers_code_has_put_there(parent: Path) -> None:
    def fill() -> None:
        here = os.getcwd()
        for _ in range(2000):  # deeper than Python calls itself, and than a path may lead
            os.mkdir("deep")
            os.chdir("deep")
        os.mkdir("shut", 0)
        Path("note.txt").touch()
        os.symlink("/", "link")
        os.chdir(here)

    before = os.getcwd()
    with work_folder() as folder:
        os.chdir(folder)
        fill()
        os.chdir(before)
    assert list(parent.iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_what_a_live_one_has_is_not(parent: Path) -> None:
    for name in ("wardian-dead", "wardian-of_older_releases", "elsewhere"):
        (parent / name).mkdir()
        (parent / name / "inputs.pkl").touch()
    (parent / "wardian-dead/in-use.lock").touch()
    (parent / "elsewhere/in-use.lock").touch()
    (parent / "wardian-link").symlink_to(parent / "elsewhere")
    (parent / "wardian-file").touch()
    with work_folder() as live, work_folder() as other:
        assert live.is_dir()
        assert other.is_dir()
        # A copy of the process has the same lock, and it is free only when both are gone.
        with (live / "in-use.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    left = {path.name for path in parent.iterdir()}
    assert left == {"wardian-of_older_releases", "wardian-link", "wardian-file", "elsewhere"}
    assert (parent / "elsewhere/inputs.pkl").exists()
