"""Copies of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import SOURCE, ends
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
    begun, let_go = os.eventfd(0), os.eventfd(0)  # not pipes: a copy has none of those of this process

    def work() -> str:
        os.eventfd_write(begun, 1)
        return str(os.eventfd_read(let_go))

    with rehearsing(work) as copy:
        os.eventfd_read(begun)  # while nobody has asked
        assert copy.answer(0) is None
        os.eventfd_write(let_go, 2)
        assert copy.answer(30) == "2"
    with rehearsing(lambda: str(os.getpid())) as copy:
        process = int(copy.answer(30) or "")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with rehearsing(work):
        os.eventfd_read(begun)
    os.eventfd_write(let_go, 3)
    assert os.eventfd_read(let_go) == 3  # nobody else is left to read it
    for descriptor in (begun, let_go):
        os.close(descriptor)


def test_what_a_copy_reads_is_still_there(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("said")
    with (tmp_path / "log.txt").open("rb", buffering=0) as log:
        with rehearsing(lambda: log.read().decode()) as copy:
            assert copy.answer(30) == "said"
        assert log.read() == b"said"


KILLED = """
import os, signal, sys
from wardian.processes.rehearsal import rehearsing
begun = os.eventfd(0)
def work():
    os.eventfd_write(begun, os.getpid())
    signal.pause()
with rehearsing(work):
    os.write(int(sys.argv[1]), b"%09d" % os.eventfd_read(begun))
    signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_copy_does_not_outlive_a_process_that_is_killed() -> None:
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", KILLED, str(writing)]
    with subprocess.Popen(command, env=environment, pass_fds=(writing,)) as process:
        os.close(writing)
        copy = int(os.read(reading, 9))
        process.kill()
    assert ends(copy)
    os.close(reading)
