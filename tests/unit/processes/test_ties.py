"""Processes that end with their parent, show their stack, or end with all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ends, run_python
from wardian.processes.ties import end_group, show_stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these ends")


def test_a_process_does_not_outlive_its_parent(tmp_path: Path) -> None:
    script = """
        import os, signal
        from wardian.processes.ties import end_with_parent

        reading, writing = os.pipe()
        parent = os.getpid()
        if (child := os.fork()) == 0:
            end_with_parent(parent)
            os.write(writing, b"x")
            signal.pause()
        os.read(reading, 1)
        print(child)
    """
    assert ends(int(run_python(script, folder=tmp_path)))


def test_a_process_whose_parent_has_ended_already_ends_at_once(tmp_path: Path) -> None:
    script = """
        import os
        from wardian.processes.ties import end_with_parent

        if os.fork() == 0:
            end_with_parent(os.getpid())  # which is not the parent
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert run_python(script, folder=tmp_path) == "1\n"


def test_a_stack_is_shown_to_who_asks_for_it(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from wardian.processes.ties import show_stack, show_stack_when_asked

        def waiting_for_rain(ready):
            os.write(ready, b"x")
            signal.pause()

        log = Path(sys.argv[1])
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
            show_stack_when_asked()
            waiting_for_rain(writing)
        os.read(reading, 1)
        show_stack(child, log)
        os.kill(child, signal.SIGKILL)
        os.wait()
    """
    run_python(script, tmp_path / "log", folder=tmp_path)
    assert "in waiting_for_rain" in (tmp_path / "log").read_text()


def test_a_process_that_is_gone_shows_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("most recent call first")
    process = subprocess.Popen(["true"])
    process.wait()
    show_stack(process.pid, tmp_path / "log")
    end_group(process.pid, signal.SIGTERM)


def test_a_group_ends_with_what_was_started_in_it() -> None:
    script = "sleep 1000 & echo $!; wait"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        started = int(leader.stdout.readline())
        os.kill(leader.pid, signal.SIGKILL)
        os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
        end_group(leader.pid, signal.SIGTERM)  # also after its leader has ended
        assert ends(started)
