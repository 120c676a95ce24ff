"""The work of a clean process: the answer that it leaves, whatever the work does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import run_python, write_tree

WORK = """
--- gardening.py
import subprocess, sys

def report(request):
    return {"limit": sys.getrecursionlimit(), "argument": request["argument"], "prepared": PREPARED}

PREPARED = []

def prepare(arguments):
    PREPARED.extend(arguments)

def fail(request):
    dig()

def dig():
    raise LookupError("no spade")

def leave(request):
    raise SystemExit("enough")

class Told(Exception):
    child_facts = {"depth": 3}

def tell(request):
    raise Told("stone")

def hire(request):
    try:
        subprocess.run(["true"])
    except PermissionError as error:
        return {"told": type(error).__name__}
    return {"told": None}
"""
SCRIPT = """
    import sys
    from wardian.processes.child import work

    work(sys.argv[1])
"""


def answer(folder: Path, function: str, **more: Any) -> dict[str, Any]:
    write_tree(folder, WORK)
    question = {
        "work": f"gardening.{function}",
        "argument": "x",
        "answer": str(folder / "answer.json"),
        "recursion_limit": 1234,
        "allow": [],
        "prepare": None,
        **more,
    }
    (folder / "question.json").write_text(json.dumps(question))
    run_python(SCRIPT, folder / "question.json", folder=folder, paths=(folder,))
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


def test_the_limit_may_be_that_of_a_new_interpreter(tmp_path: Path) -> None:
    assert answer(tmp_path, "report", recursion_limit=None)["limit"] == 1000


def test_what_is_returned_is_the_answer(tmp_path: Path) -> None:
    found = answer(tmp_path, "report", prepare=["gardening.prepare", ["spade", "rake"]])
    assert found == {"limit": 1234, "argument": "x", "prepared": ["spade", "rake"], "refused": []}


@pytest.mark.parametrize(
    ("function", "error", "facts"),
    [
        ("fail", "LookupError: no spade", None),
        ("leave", "SystemExit: enough", None),
        ("tell", "Told: stone", {"depth": 3}),
        ("missing", "AttributeError: module 'gardening' has no attribute 'missing'", None),
    ],
)
def test_what_is_raised_is_told_without_frames_of_our_own(
    function: str, error: str, facts: object, tmp_path: Path
) -> None:
    found = answer(tmp_path, function)
    assert found["error"] == error
    assert found.get("facts") == facts
    assert found["traceback"].startswith("Traceback (most recent call last):\n")
    assert found["traceback"].rstrip().endswith(error.partition(": ")[2])
    # If all frames are ours, they are shown: it is a fault of ours.
    assert ("wardian" in found["traceback"]) == (function == "missing")


def test_what_the_fence_refuses_is_told(tmp_path: Path) -> None:
    found = answer(tmp_path, "hire")
    assert found["told"] == "RefusedError"
    assert len(found["refused"]) == 1
    assert "true" in found["refused"][0]
    assert answer(tmp_path, "hire", allow=["processes"])["refused"] == []
