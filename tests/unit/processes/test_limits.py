"""Clean processes that would never end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import importable, write_tree
from wardian.errors import TimeLimitError
from wardian.processes.clean import CleanProcesses

WORK = """
--- gardening.py
import os
import signal

def wait_for_spring(request):
    print("it snows", flush=True)
    signal.pause()

def stop(request):
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return write_tree(tmp_path, WORK)


def test_a_child_that_waits_for_ever_is_ended_and_tells_where_it_was(work: Path) -> None:
    with importable(work), pytest.raises(TimeLimitError) as caught:
        CleanProcesses(limit=8.0).run("gardening.wait_for_spring", {})
    line = 1 + next(i for i, text in enumerate(WORK.partition(".py\n")[2].split("\n")) if "pause" in text)
    where = f"wait_for_spring, {work / 'gardening.py'}, line {line}"
    assert str(caught.value).startswith(f"a clean process was not done after 8 s; it was in {where}\n  fix: ")
    assert caught.value.output.startswith("it snows\n")
    assert caught.value.limit == 8.0


def test_a_child_that_is_stopped_is_ended(work: Path) -> None:
    with importable(work), pytest.raises(TimeLimitError, match="it was in stop,"):
        CleanProcesses(limit=8.0).run("gardening.stop", {})
