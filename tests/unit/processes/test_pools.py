"""Pools that were made before a fork, used after it."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python


def after_a_fork(before: str, after: str, folder: Path, *, parent: str = "") -> list[str]:
    """Run *after* in a fork of a process that ran *before*; return what it and then its parent printed."""
    script = f"""
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from wardian.processes.pools import revive_pools
{before}
if (child := os.fork()) == 0:
    revive_pools()
{after}
    os._exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
{parent}
print("parent:", pool.submit(abs, -3).result())
pool.shutdown()
"""
    return run_python(script, folder=folder).splitlines()


def test_threads_that_a_fork_has_not_got_are_started_again(tmp_path: Path) -> None:
    after = "    print([pool.submit(abs, -n).result() for n in range(3)], flush=True)"
    before = "pool = ThreadPoolExecutor(2); pool.submit(abs, 1).result()"
    assert after_a_fork(before, after, tmp_path) == ["[0, 1, 2]", "parent: 3"]


def test_work_that_waits_in_the_parent_is_done_there_only(tmp_path: Path) -> None:
    before = """
import threading
done, may_go = [], threading.Event()
pool = ThreadPoolExecutor(1)
waiting = [pool.submit(may_go.wait), pool.submit(done.append, "the parent's")]
"""
    after = """
    pool.submit(done.append, "own").result()
    print(done, flush=True)
"""
    parent = "may_go.set(); waiting[1].result(); print(done)"
    printed = after_a_fork(before, after, tmp_path, parent=parent)
    assert printed == ["['own']", '["the parent\'s"]', "parent: 3"]


def test_a_pool_that_is_made_in_the_fork_works(tmp_path: Path) -> None:
    after = "    print(list(ThreadPoolExecutor(2).map(abs, [-1, 2])), flush=True)"
    assert after_a_fork("pool = ThreadPoolExecutor(1)", after, tmp_path) == ["[1, 2]", "parent: 3"]


def test_processes_of_another_process_are_refused(tmp_path: Path) -> None:
    after = """
    try:
        pool.submit(abs, -1)
    except RuntimeError as error:
        print(error, flush=True)
"""
    before = "pool = ProcessPoolExecutor(1); pool.submit(abs, 1).result()"
    assert after_a_fork(before, after, tmp_path) == [
        "the processes of the pool are of another process",
        "parent: 3",
    ]
