"""A process that is forked while other threads open, load and close cases goes on without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import run_python, write_case

_TREE = """
--- yew/__init__.py
--- yew/ops.py
from torch.library import Library
ANSWER = 42
import sys
waits = sys.modules["__main__"].waits
waits and waits.pop()()
"""

_FORK = """
import os, signal, threading, torch, wardian

inside, go_on, waits = threading.Event(), threading.Event(), []

def wait():
    inside.set()
    go_on.wait()

def fork(function):
    process = os.fork()
    if process == 0:
        signal.alarm(60)  # a child that hangs is killed
        function()
        os._exit(0)
    return os.waitpid(process, 0)[1]

def use_another():
    with wardian.open("other.case") as case:
        assert case.import_module("yew.ops").ANSWER == 42
    assert not hasattr(torch.library.Library.__init__, "__wrapped__")

def import_slowly():
    waits.append(wait)
    with wardian.open("yew.case") as case:
        case.import_module("yew.ops")

def close_slowly():
    from wardian.live.roots import _roots_lock
    with _roots_lock:  # as a thread has it that opens or closes a case
        wait()

wardian.open("yew.case").close()
for slow in (import_slowly, close_slowly):
    thread = threading.Thread(target=slow)
    thread.start()
    inside.wait()
    print(fork(use_another))
    go_on.set()
    thread.join()
    inside.clear()
    go_on.clear()
use_another()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_waits_for_no_thread_of_its_parent(tmp_path: Path) -> None:
    write_case(tmp_path / "yew.case", _TREE)
    write_case(tmp_path / "other.case", _TREE + "# of another case\n")
    assert run_python(_FORK, folder=tmp_path).split() == ["0", "0"]
