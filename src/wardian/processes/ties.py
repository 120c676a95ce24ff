"""Ends of processes: one that shall not outlive its parent, and one that takes too long."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

__all__ = ["end_group", "end_with_parent", "show_stack", "show_stack_when_asked"]

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h

_ASK = getattr(signal, "SIGRTMAX", None)
"""The signal that makes a clean process print its stack: the last one, which the fewest programs use."""


def end_with_parent(parent: int) -> None:
    """Let the kernel end this process when its parent ends, however that ends. Only Linux can do it.

    Args:
        parent: Its number. The thread of it that started this process must last as long as it waits: Linux
            goes by the thread (`man 2 PR_SET_PDEATHSIG`).
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def show_stack_when_asked() -> None:
    """Print the Python stack of every thread of this process to its standard error when `show_stack` asks."""
    if _ASK is not None:
        faulthandler.register(_ASK, file=2, all_threads=True)


def show_stack(process: int, log: Path) -> None:
    """Let a clean process print its stack, and wait until it has; a moment at most.

    Args:
        process: Its number.
        log: Where it prints.
    """
    if _ASK is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, _ASK)
        os.kill(process, signal.SIGCONT)  # one that was stopped
    until = time.monotonic() + 2
    while b"most recent call first" not in log.read_bytes() and time.monotonic() < until:
        time.sleep(0.02)


def end_group(process: int, how: int) -> None:
    """Send a signal to all of the group that a process leads, or led before it ended."""
    if not hasattr(os, "killpg"):  # Windows has no groups that outlive their leader
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, how)
