"""Copies of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import SOURCE
from wardian.processes.rehearsal import rehearsing


def test_a_copy_of_the_process_prints_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "log.txt").open("w") as log:

        def work() -> str:
            print("said", flush=True)
            log.write("written")
            log.flush()
            return "done"

        with rehearsing(work) as copy:
            assert copy.answer(30) is None
    with rehearsing(lambda: "é" * 100_000) as copy:
        assert copy.answer(30) == "é" * 100_000
    assert (tmp_path / "log.txt").read_text() == ""
    assert capfd.readouterr().out == ""


def test_a_copy_works_while_the_block_runs_and_ends_with_it() -> None:
    begun, tell_begun = os.pipe()
    wait, let_go = os.pipe()

    def work() -> str:
        os.write(tell_begun, b"!")
        return os.read(wait, 1).decode()

    with rehearsing(work) as copy:
        assert os.read(begun, 1) == b"!"  # while nobody has asked
        assert copy.answer(0) is None
        os.write(let_go, b"x")
        assert copy.answer(30) == "x"
    with rehearsing(lambda: str(os.getpid())) as copy:
        process = int(copy.answer(30) or "")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with rehearsing(work):
        assert os.read(begun, 1) == b"!"
    os.write(let_go, b"y")
    assert os.read(wait, 1) == b"y"  # nobody else is left to read it
    for descriptor in (begun, tell_begun, wait, let_go):
        os.close(descriptor)


KILLED = """
import os, signal, sys
from wardian.processes.rehearsal import rehearsing
def work():
    os.write(int(sys.argv[1]), b"copy")
    signal.pause()
with rehearsing(work):
    signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_copy_does_not_outlive_a_process_that_is_killed() -> None:
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", KILLED, str(writing)]
    with subprocess.Popen(command, env=environment, pass_fds=(writing,)) as process:
        os.close(writing)
        assert os.read(reading, 4) == b"copy"
        process.kill()
    assert os.read(reading, 4) == b""  # both have ended, who held the other end
    os.close(reading)
