"""Packing is silent, unless asked."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import SOURCE

STAGES = ["pickle", "trace", "plan", "write"]
PACK = "import torch, wardian; wardian.pack(torch.nn.Linear(1, 1), 'one.case', prove=False, progress=True)"


def test_nothing_is_printed_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False)
    assert capfd.readouterr() == ("", "")


def test_a_function_is_told_of_each_stage(tmp_path: Path) -> None:
    told: list[str] = []
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False, progress=told.append)
    assert told == STAGES


def test_lines_go_to_stderr_where_there_is_no_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False, progress=True)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [f"wardian: {stage}" for stage in STAGES]


def test_a_terminal_shows_bars(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "80"}
    child = subprocess.Popen(
        [sys.executable, "-c", PACK],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    output, _ = child.communicate()
    assert (child.returncode, output) == (0, b"")
    assert all(stage.encode() in shown for stage in STAGES)
    assert "━".encode() in shown
