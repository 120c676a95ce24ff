"""Thread and process pools in a forked process."""

from __future__ import annotations

import queue
import sys
import threading
from typing import Any

__all__ = ["revive_pools"]


def revive_pools() -> None:
    """Let executors begin anew in a forked process, which has not got the threads of its parent.

    They count the threads that wait for work, and hand it to them:
    https://github.com/python/cpython/blob/v3.13.0/Lib/concurrent/futures/thread.py#L186
    """
    threads: Any = sys.modules.get("concurrent.futures.thread")
    processes: Any = sys.modules.get("concurrent.futures.process")
    if threads is not None:
        adjust = threads.ThreadPoolExecutor._adjust_thread_count  # noqa: SLF001

        def adjust_anew(pool: Any) -> None:
            if not all(thread.is_alive() for thread in pool._threads):  # noqa: SLF001
                _begin_anew(pool)
            adjust(pool)

        threads.ThreadPoolExecutor._adjust_thread_count = adjust_anew  # noqa: SLF001
    if processes is not None:
        start = processes.ProcessPoolExecutor._start_executor_manager_thread  # noqa: SLF001

        def start_anew(pool: Any) -> None:
            if (manager := pool._executor_manager_thread) is not None and not manager.is_alive():  # noqa: SLF001
                raise RuntimeError("the processes of the pool are of another process")
            start(pool)

        processes.ProcessPoolExecutor._start_executor_manager_thread = start_anew  # noqa: SLF001


def _begin_anew(pool: Any) -> None:
    """Give a pool no threads, and of its work what was submitted last; the rest is the parent's."""
    work, last = pool._work_queue, None  # noqa: SLF001
    while not work.empty():
        last = work.get_nowait()
    pool._threads = set()  # noqa: SLF001
    pool._idle_semaphore = threading.Semaphore(0)  # noqa: SLF001
    pool._work_queue = queue.SimpleQueue()  # noqa: SLF001
    pool._work_queue.put(last)  # noqa: SLF001
