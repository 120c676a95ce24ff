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
    from wardian.loading.open_mounts import _mounts_lock
    with _mounts_lock:  # as a thread has it that opens or closes a case
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


_PACKING = """
import os, signal, torch, wardian
from tests.archives import contents, document
from wardian.archive.writer import ArchiveWriter
from wardian.domain.names import RecordName

torch.set_num_threads(1)

def forked(work):
    process = os.fork()
    if process == 0:
        signal.alarm(60)  # a child that hangs is killed
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0

def write(target):
    with ArchiveWriter(target) as archive:
        archive.add_storage(weights, len(weights))
        for number in range(100):
            archive.add(RecordName(f"m{number}.py"), b"x = 1\\n" * 10_000)
        yield archive
        archive.finish(document)
        archive.publish()

def write_another():
    list(write("other.case"))
    assert len(contents(open("other.case", "rb").read())) == 103

def go_on_with(archive):
    try:
        archive.add(RecordName("n.py"), b"")
    except RuntimeError as error:
        assert "written by the process that this one was forked from" in str(error)
        archive.discard()
    else:
        raise AssertionError

def pack():
    wardian.pack(torch.ones(1 << 20), "ones.case", prove=False)
    wardian.pack(torch.nn.Linear(300, 300), "linear.case", inputs=(torch.ones(1, 300),))
    with wardian.open("linear.case") as case:
        case.check()  # not bit for bit: this process computes in one thread, the clean one in all

weights = os.urandom(4 << 20)
for archive in write("mine.case"):  # all threads of it run
    forked(write_another)
    forked(lambda: go_on_with(archive))
assert len(contents(open("mine.case", "rb").read())) == 103
wardian.pack(torch.ones(1 << 20), "parent.case", prove=False)
wardian.open("parent.case").verify()
forked(pack)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_packs_after_its_parent_has_written_and_hashed(tmp_path: Path) -> None:
    run_python(_PACKING, folder=tmp_path, paths=(Path(__file__).parents[2],))
