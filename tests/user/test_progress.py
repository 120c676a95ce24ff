"""Packing shows its stages to whoever watches and waits, and to whoever asks; else it is silent."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import SOURCE
from wardian import reporters

STAGES = ["pickle", "trace", "plan", "write"]


def test_nothing_is_printed_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False)
    assert capfd.readouterr() == ("", "")


def test_a_function_is_told_of_each_stage(tmp_path: Path) -> None:
    told: list[str] = []
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False, progress=told.append)
    assert told == STAGES


def test_a_plan_tells_its_stages_too() -> None:
    told: list[str] = []
    wardian.plan(torch.nn.Linear(1, 1), progress=told.append)
    assert told == ["pickle", "trace", "plan"]


def test_lines_go_to_stderr_where_there_is_no_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False, progress=True)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [f"wardian: {stage}" for stage in STAGES]


def show(tmp_path: Path, pack: str, *, delay: float = 0.0, rich: bool = True, term: str = "xterm") -> str:
    """Run code in a terminal of 40 columns, after *delay* seconds of which a pack shows itself."""
    hidden = "" if rich else "sys.modules['rich'] = None; "
    script = (
        f"import sys; {hidden}import torch, wardian, wardian.reporters as reporters\n"
        f"assert reporters._DELAY == 2.0\nreporters._DELAY = {delay}\n{textwrap.dedent(pack)}"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "TERM": term, "COLUMNS": "40"}
    child = subprocess.Popen(
        [sys.executable, "-c", script],
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
    assert (child.returncode, output) == (0, b""), shown.decode()
    return shown.decode()


PACK = "wardian.pack(torch.nn.Linear(1, 1), 'one.case', prove=False)"
AGAIN = """
with reporters.reporting(None) as observer:
    observer.stage("prove")
    observer.again("numpy is missing; now with numpy needed")
    observer.stage("write")
    print("a line of the user's", file=sys.stderr) if observer.done() is None else None
"""


def test_a_terminal_shows_bars(tmp_path: Path) -> None:
    shown = show(tmp_path, PACK + AGAIN)
    assert all(stage in shown for stage in (*STAGES, "prove"))
    assert "━" in shown
    # rich breaks the line where the terminal ends.
    words = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\s+", " ", shown)
    assert "tried again, because numpy is missing; now with numpy needed" in " ".join(words.split())


@pytest.mark.parametrize("options", [{"rich": False}, {"term": "dumb"}])
def test_a_terminal_shows_one_line(options: dict[str, Any], tmp_path: Path) -> None:
    shown = show(tmp_path, PACK + AGAIN, **options)
    assert re.search(r"\rwardian: pickle, \d+ s *\rwardian: trace", shown)
    assert "\x1b" not in shown
    lines = [line.rpartition("\r")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    assert lines == [
        "wardian: tried again, because numpy is missing; now with numpy needed",
        "a line of the user's",
        "",
    ], "what does not stay is taken away"


@pytest.mark.parametrize(
    ("code", "delay"), [(PACK, 3600.0), (PACK.replace("prove=False", "prove=False, progress=False"), 0.0)]
)
def test_a_terminal_shows_nothing(code: str, delay: float, tmp_path: Path) -> None:
    assert show(tmp_path, code, delay=delay) == "", "what is quick, and what shall be silent"


def test_a_pipe_shows_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporters, "_DELAY", 0.0)
    wardian.pack(torch.nn.Linear(1, 1), tmp_path / "one.case", prove=False)
    assert capfd.readouterr() == ("", "")


def test_a_notebook_shows_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pytest.importorskip("jupyter_client.manager", reason="the group `test` has ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    told: list[dict[str, str]] = []

    def note(message: dict[str, Any]) -> None:
        if message["msg_type"] in ("stream", "error"):
            told.append(message["content"])

    manager, kernel = client.start_new_kernel(cwd=str(tmp_path))  # of this interpreter
    try:
        code = f"import torch, wardian, wardian.reporters as r\nr._DELAY = 0.0\n{PACK}; None"
        reply = kernel.execute_interactive(code, output_hook=note, timeout=None)
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", told
    assert {part["name"] for part in told} == {"stderr"}
    shown = "".join(part["text"] for part in told)
    assert all(f"\rwardian: {stage}, " in shown for stage in STAGES)
    assert shown.endswith("\r")


def test_a_terminal_that_is_closed_harms_nothing() -> None:
    ours, theirs = pty.openpty()
    with io.TextIOWrapper(io.FileIO(theirs, "w"), write_through=True) as stream:
        picture = reporters._Picture(reporters._OneLine(stream), 0.0)
        picture.stage("trace")
        os.close(ours)
        picture.stage("prove")
        picture.done()
