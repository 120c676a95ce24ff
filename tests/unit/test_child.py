"""Child processes. Their work is a function of the standard library or of a module written here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import importable, write_tree
from wardian.child import ChildError, ask_fork, run_in_clean_process
from wardian.errors import PackError

WORK = """
--- gardening/__init__.py
--- gardening/work.py
import os
import sys

def report(request):
    print("digging")
    return {"path": sys.path, "argument": request["argument"], "loaded": "torch" in sys.modules}

def fail(request):
    print("it rained")
    raise LookupError("no spade")

def die(request):
    os._exit(7)

def dig_deeper(request):
    from wardian.child import run_in_clean_process
    return run_in_clean_process("gardening.work.report", request)
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return write_tree(tmp_path, WORK)


def test_the_child_has_the_path_of_its_parent_and_nothing_loaded(work: Path) -> None:
    with importable(work):
        answer = run_in_clean_process("gardening.work.report", {"argument": [1, "a"]})
        assert set(sys.path) <= {*answer["path"], ""}
    assert answer["argument"] == [1, "a"]
    assert answer["loaded"] is False


def test_relative_entries_of_the_path_lead_to_the_same_folders_wherever_the_child_goes(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    (work / "beds").mkdir()
    hook = "__editable__.mylib-1.0.finder.__path_hook__"
    monkeypatch.setattr(sys, "path", ["beds", "", hook, *sys.path])
    answer = run_in_clean_process("gardening.work.report", {"argument": 0})
    assert answer["path"][:3] == [str(work / "beds"), str(work), hook]


def test_an_exception_comes_back_with_what_was_printed(work: Path) -> None:
    with importable(work), pytest.raises(ChildError) as caught:
        run_in_clean_process("gardening.work.fail", {})
    assert caught.value.summary == "LookupError: no spade"
    assert caught.value.output.startswith("it rained\nTraceback")
    assert 'raise LookupError("no spade")' in caught.value.output


def test_a_child_that_dies_is_told_with_its_status(work: Path) -> None:
    with importable(work), pytest.raises(ChildError, match="the process ended with status 7"):
        run_in_clean_process("gardening.work.die", {})


def test_a_clean_process_starts_no_other(work: Path) -> None:
    with importable(work), pytest.raises(ChildError, match='if __name__ == "__main__":'):
        run_in_clean_process("gardening.work.dig_deeper", {"argument": 1})


def test_without_an_interpreter_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ChildError, match=r"sys\.executable is empty"):
        run_in_clean_process("gardening.work.report", {})


def test_the_refusal_is_a_packing_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDIAN_CLEAN_PROCESS", "1")
    with pytest.raises(PackError, match="was called by code that is imported"):
        run_in_clean_process("gardening.work.report", {})


def test_a_copy_of_the_process_prints_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "log.txt").open("w") as log:

        def work() -> str:
            print("said", flush=True)
            log.write("written")
            log.flush()
            return "done"

        assert ask_fork(work, 30) is None
    assert ask_fork(lambda: "é" * 100_000, 30) == "é" * 100_000
    assert (tmp_path / "log.txt").read_text() == ""
    assert capfd.readouterr().out == ""
