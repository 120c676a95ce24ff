"""Cages whose child is played: what comes back over the wire is what a test says, without an interpreter."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest

from wardian.sandbox import cage
from wardian.sandbox.launching import Limits, Started, Way
from wardian.sandbox.memory import Region
from wardian.sandbox.wire import LENGTH, pack, unpack

__all__ = ["Answer", "Child", "playing"]

Answer = Mapping[str, Any] | bytes | None
"""A message, the bytes in its place, or nothing at all."""


class Child:
    """The other end of the wire.

    Args:
        answer: Returns the answer to a question, but for the one to open the case.
        greeting: The first answer, to no question.

    Attributes:
        asked: The questions that came.
        region: The shared memory that came along.
        process: The process that stands for the child; it prints what is written to `printing`.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Answer], greeting: Answer) -> None:
        self._answer = answer
        self._greeting = greeting
        self.asked: list[dict[str, Any]] = []
        self.region: Region | None = None
        self.starts: list[dict[str, Any]] = []
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []

    def start(
        self, path: str, name: str, *, digest: str, limits: Limits, way: Way | None, size: int
    ) -> Started:
        """Stand for `wardian.sandbox.launching.start`."""
        self.starts.append(
            {"path": path, "name": name, "digest": digest, "limits": limits, "way": way, "size": size}
        )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        printed, printing = os.pipe()
        os.set_blocking(printed, False)
        # It prints what it is told, and lives until it is killed.
        self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=printing)
        os.close(printing)
        self._ends.append(theirs)
        thread = threading.Thread(target=self._serve, args=(theirs,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return Started(self.process, ours, printed, None, way or "landlock")

    def print(self, content: bytes) -> None:
        """Let the child print something."""
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def end(self) -> None:
        """Let the process end when all is printed that was written."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def close(self) -> None:
        """Wait for what was started, and end what a cage has left."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        if self.starts:
            self.end()
        if self.region is not None:
            self.region.close()

    def _serve(self, theirs: socket.socket) -> None:
        with theirs, contextlib.suppress(OSError):
            _send(theirs, self._greeting)
            while (question := self._question(theirs)) is not None:
                self.asked.append(question)
                _send(theirs, {"ok": None} if question["do"] == "open" else self._answer(question))

    def _question(self, theirs: socket.socket) -> dict[str, Any] | None:
        head, descriptors, _, _ = socket.recv_fds(theirs, LENGTH.size, 1)
        if descriptors:
            if self.region is not None:
                self.region.close()
            self.region = Region(descriptors[0], os.fstat(descriptors[0]).st_size)
        if not head:
            return None
        if len(head) < LENGTH.size:
            head += theirs.recv(LENGTH.size - len(head), socket.MSG_WAITALL)
        return unpack(theirs.recv(LENGTH.unpack(head)[0], socket.MSG_WAITALL))


def _send(theirs: socket.socket, answer: Answer) -> None:
    if answer is not None:
        theirs.sendall(answer if isinstance(answer, bytes) else pack(dict(answer)))


@contextmanager
def playing(
    answer: Callable[[dict[str, Any]], Answer], *, greeting: Answer = MappingProxyType({"ok": None})
) -> Iterator[Child]:
    """Let every cage that is made in the block have such a `Child`."""
    child = Child(answer, greeting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cage, "start", child.start)
        try:
            yield child
        finally:
            child.close()
