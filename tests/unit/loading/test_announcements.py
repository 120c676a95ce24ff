"""Notes on disk: who reads them, and that none is left."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wardian.loading import announcements

OAK = announcements.Announced(Path("/woods/a,b:c=d/oak.case"), "01234567" * 8, "1:2:3")
ELM = announcements.Announced(Path("/woods/elm.case"), "01234567" * 8, "")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARDIAN_CACHE", str(tmp_path))
    monkeypatch.delenv("WARDIAN_OPEN_CASES", raising=False)
    return tmp_path


def test_a_note_is_there_as_long_as_the_case_is_open(cache: Path) -> None:
    announcements.announce("oak_01234567", OAK)
    (note,) = (cache / "open").iterdir()
    assert json.loads(note.read_text())["path"] == str(OAK.path)
    assert announcements.announced("oak_01234567") == OAK
    announcements.withdraw("oak_01234567")
    assert list((cache / "open").iterdir()) == []
    assert announcements.announced("oak_01234567") is None


def test_notes_of_processes_that_were_killed_are_removed(cache: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", "pass"])
    done.wait()
    (cache / "open").mkdir()
    (cache / "open" / f"{done.pid}.elm_01234567.json").write_text("{}")
    (cache / "open" / f"{os.getppid()}.elm_01234567.json").write_text("{}")
    announcements.announce("oak_01234567", OAK)
    left = {note.name.partition(".")[0] for note in (cache / "open").iterdir()}
    assert left == {str(os.getppid()), str(os.getpid())}
    announcements.withdraw("oak_01234567")


def test_the_first_process_of_a_container_may_have_opened_the_case() -> None:
    above = list(announcements._processes_above())
    assert not above or above[-1] == 1 or not Path("/proc/1/stat").exists()


def test_a_note_of_an_earlier_process_of_the_same_number_is_not_taken(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "open").mkdir()
    note = cache / "open" / f"{os.getppid()}.elm_01234567.json"
    told = {"path": str(ELM.path), "outline": ELM.outline, "stamp": ELM.stamp}
    note.write_text(json.dumps({**told, "started": "1"}))
    monkeypatch.setattr(multiprocessing.current_process(), "name", "SpawnProcess-1")
    assert announcements.announced("elm_01234567") is None
    started = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19]
    note.write_text(json.dumps({**told, "started": started}))
    assert announcements.announced("elm_01234567") == ELM
