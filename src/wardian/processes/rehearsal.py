"""Copies of this process, in which what an object does is seen by nobody."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

from wardian.processes.ties import end_with_parent
from wardian.reporters import nothing_written

__all__ = ["Rehearsal", "rehearsing"]


class Rehearsal:
    """Work that a copy of this process does.

    Attributes:
        is_begun: Whether there is such a copy; there is none where it cannot be made.
        obstacle: Why the copy could not begin to work, once it was asked.
    """

    def __init__(self, reading: int | None) -> None:
        self.is_begun = reading is not None
        self.obstacle: str | None = None
        self._reading = reading

    def answer(self, seconds: float) -> str | None:
        """Wait for what the work returns; asked once.

        Args:
            seconds: How long to wait for it.

        Returns:
            What it returned; None if it raised, died, takes longer, or the process could not be copied.
        """
        if self._reading is None:
            return None
        answer = _read_answer(self._reading, time.monotonic() + seconds)
        if answer is None or not answer.startswith(_OBSTACLE):
            return answer
        self.obstacle = answer.removeprefix(_OBSTACLE)
        return None


@contextlib.contextmanager
def rehearsing(work: Callable[[], str]) -> Iterator[Rehearsal]:
    """Call *work* in a copy of this process, in which nothing that it does, prints or writes meets this one.

    The copy works while the block runs, and ends with it.

    Args:
        work: Must need no thread of this process: the copy has only the one that calls.

    Yields:
        What can be asked for the answer; there is none if the platform has no safe `fork`.
    """
    if not hasattr(os, "fork") or sys.platform == "darwin":  # its frameworks do not survive one
        yield Rehearsal(None)
        return
    reading, writing = os.pipe()
    parent = os.getpid()
    try:
        try:
            # Python 3.12 and newer warn of other threads.
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning), nothing_written():
                child = os.fork()
        except OSError:
            os.close(writing)
            yield Rehearsal(None)
            return
        if child == 0:
            _answer(work, writing, parent)
        os.close(writing)
        try:
            yield Rehearsal(reading)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # somebody has waited for all children
                os.waitpid(child, 0)
    finally:
        os.close(reading)


def _answer(work: Callable[[], str], writing: int, parent: int) -> NoReturn:
    """Be the copy: do the work, write the answer, and end without anything that an exit would run."""
    try:
        end_with_parent(parent)
        import resource  # which is there wherever `fork` is, as is what the next one needs

        from wardian.processes.apart import be_apart

        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        if sys.platform == "linux":  # only there can it be found out what is shared
            try:
                be_apart(keep={*range(3), writing})
            except OSError as error:
                os.write(writing, f"{_OBSTACLE}{error}".encode() + _END)
                raise
        # Files are those of the other: to write to one is an error.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(work().encode() + _END)
    finally:
        os._exit(0)


_OBSTACLE = "\1"
"""Begins what is no answer of the work, but why it was not begun."""
_END = b"\0"
"""Ends an answer: other copies, of other threads, may hold the pipe open."""


def _read_answer(reading: int, until: float) -> str | None:
    answer = b""
    poll = select.poll()  # `select` takes no descriptor above 1,023
    poll.register(reading, select.POLLIN)
    while poll.poll(1000 * max(0.0, until - time.monotonic())):
        part = os.read(reading, 1 << 16)
        answer += part
        if answer.endswith(_END):
            return answer.removesuffix(_END).decode()
        if not part:
            break
    return None
