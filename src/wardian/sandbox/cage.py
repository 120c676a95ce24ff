"""One child in a cage, and the questions it is asked. Its answers are hostile input."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
import weakref
from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, Self, cast

from wardian.archive import ArchiveReader
from wardian.errors import SandboxError
from wardian.processes.folders import work_folder
from wardian.sandbox.launching import Limits, Started, Way, start
from wardian.sandbox.memory import Region
from wardian.sandbox.wire import LENGTH, MOST, WireError, decode, encode, pack, unpack
from wardian.wording import printable

__all__ = ["Cage", "Reason"]

Reason = Literal["raised", "ended", "time", "answer"]

_STARTING = 120.0
"""Seconds until Python and PyTorch are there, before any packed code runs."""
_ENDING = 5.0
"""Seconds that are waited for a child that was killed."""
_KEPT = 64 << 10
"""Bytes of what the child prints that are kept: the last ones."""


class Cage:
    """A child process that has opened one case, and runs its code.

    Args:
        archive: The open case. The child has to find the same digest.
        limits: What the code may use.
        timeout: Seconds that an answer may take.
        way: How to keep the child; None for the best that there is.

    Raises:
        SandboxUnavailableError: if there is no cage on this machine.
        SandboxError: if the child does not come so far that it has opened the case.
    """

    def __init__(
        self, archive: ArchiveReader, *, limits: Limits, timeout: float | None, way: Way | None = None
    ) -> None:
        self.label = archive.label
        self._timeout = timeout
        self._limits = limits
        self._ended: str | None = None
        self._owner = os.getpid()
        self._printed = bytearray()
        self._region: Region | None = None
        self._is_region_known = False
        with _file_of(archive) as path:
            name = f"{archive.stem}.case" if archive.path is None else archive.path.name
            self._started = start(
                path,
                name,
                digest=archive.fingerprint,
                limits=limits,
                way=way,
                size=len(archive),
            )
            self._finalizer = weakref.finalize(self, _end, self._started, self._owner)
            try:
                self._answer(_STARTING)
                self._ask({"do": "open"})
            except BaseException:
                self.close()
                raise

    @property
    def way(self) -> Way:
        """How the child is kept."""
        return self._started.way

    @property
    def printed(self) -> str:
        """The last of what the child printed, with what a terminal would obey escaped."""
        self._drain()
        return printable(self._printed.decode("utf-8", "replace"))

    def load(self, entry: str | None) -> None:
        """Load the object of an entry point, which calls are about.

        Raises:
            SandboxError: as for `call`.
        """
        self._ask({"do": "load", "entry": entry})

    def check(self, entry: str | None, *, exact: bool) -> dict[str, Any]:
        """Run the self-test of an entry point, or of all; return what `check_plainly` does.

        Raises:
            SandboxError: as for `call`.
        """
        found = self._ask({"do": "check", "entry": entry, "exact": exact}).get("ok")
        if not _fits(found, _CHECKED):
            raise self._fail("answer", "its report is none")
        return cast(dict[str, Any], found)

    def call(self, method: str | None, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call the object, or a method of it.

        Args:
            method: Its name; None for the object itself.
            arguments: Tensors and plain data.
            named: The same, by name.

        Raises:
            SandboxError: if the code raises, takes too long, ends, or answers what is no answer.
            TypeError: if an argument can not cross.
        """
        from wardian.tensors.crossing import Outgoing, received

        outgoing = Outgoing()
        form = encode((arguments, named), outgoing.put)
        question = {
            "do": "call",
            "method": method,
            "arguments": form,
            "tensors": outgoing.described,
        }
        content = pack(question)
        until = self._until(self._timeout)
        self._make_room(outgoing.size)
        if outgoing.size:
            assert self._region is not None
            outgoing.write(self._region.map)
        with self._in_step():
            self._send(content, until)
            answer = self._receive(until)
            if "grow" in answer:
                size = answer["grow"]
                if type(size) is not int or not 0 < size <= self._limits.memory:
                    raise self._fail("answer", "its result is larger than it may be")
                self._make_room(size)
                self._send(pack({"do": "go on"}), until)
                answer = self._receive(until)
        form = self._result(answer)
        try:
            region = self._region
            told = answer.get("tensors")
            found = received(told, region.map, region.size) if region is not None and told else []
            return decode(form, found)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise self._fail("answer", f"it answered what is no answer: {error}") from None

    def kill(self) -> None:
        """Let the child end, and with it a call in another thread; `close` has to follow."""
        if self._owner == os.getpid():
            self._started.process.kill()

    def close(self) -> None:
        """End the child; calling it again does nothing."""
        if self._ended is None:
            self._drain()
            self._ended = "it was closed"
        self._finalizer()
        if self._region is not None:
            self._region.close()
            self._region = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _make_room(self, size: int) -> None:
        """See to it that there is shared memory; the next question brings it to the child."""
        if size == 0 or (self._region is not None and self._region.size >= size):
            return
        old, self._region = self._region, Region.make(size + size // 4)
        self._is_region_known = False
        if old is not None:
            old.close()

    @contextlib.contextmanager
    def _in_step(self) -> Iterator[None]:
        """End the child if a question is left before its whole answer was taken.

        The answer would be taken for that to the next question; and the child may write into the shared
        memory as long as it works.
        """
        try:
            yield
        except BaseException:
            self._fail("ended", "a call was interrupted")
            raise

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        until = self._until(self._timeout)
        with self._in_step():
            self._send(pack(question), until)
            answer = self._receive(until)
        self._result(answer)
        return answer

    def _answer(self, seconds: float) -> None:
        self._result(self._receive(self._until(seconds)))

    def _until(self, seconds: float | None) -> float | None:
        if self._owner != os.getpid():
            raise SandboxError(
                f"{self.label} is in a cage of the process that this one is a fork of; load it again here",
                path=self.label,
                reason="ended",
            )
        if self._ended is not None:
            raise SandboxError(
                f"{self.label} runs no more: {self._ended}; load it again", path=self.label, reason="ended"
            )
        return None if seconds is None else time.monotonic() + seconds

    def _result(self, answer: dict[str, Any]) -> Any:
        error = answer.get("error")
        if error is not None:
            kind, text = (error.get(key) if isinstance(error, dict) else None for key in ("type", "text"))
            if not isinstance(kind, str) or not isinstance(text, str):
                raise self._fail("answer", "its error has no type and no text")
            raise SandboxError(
                f"the code of {self.label} raised {printable(kind)}: {printable(text)}",
                path=self.label,
                reason="raised",
                output=self.printed,
            )
        if "ok" not in answer:
            raise self._fail("answer", "it answered neither a result nor an error")
        return answer["ok"]

    def _send(self, content: bytes, until: float | None) -> None:
        asking = self._started.socket
        try:
            asking.settimeout(None if until is None else max(until - time.monotonic(), 0.001))
            if self._region is not None and not self._is_region_known:
                socket.send_fds(asking, [content[:1]], [self._region.descriptor])
                self._is_region_known = True
                content = content[1:]
            asking.sendall(content)
        except TimeoutError:
            raise self._took_too_long() from None
        except OSError:
            raise self._has_ended() from None

    def _receive(self, until: float | None) -> dict[str, Any]:
        size = LENGTH.unpack(self._read(LENGTH.size, until))[0]
        if size > MOST:
            raise self._fail("answer", f"its answer has {size:,} bytes, more than {MOST:,}")
        try:
            return unpack(self._read(size, until))
        except WireError as error:
            raise self._fail("answer", f"it answered what is no answer: {error}") from None

    def _read(self, size: int, until: float | None) -> bytes:
        parts = bytearray()
        poll = select.poll()
        poll.register(self._started.socket, select.POLLIN)
        poll.register(self._started.printed, select.POLLIN)
        while len(parts) < size:
            left = None if until is None else (until - time.monotonic()) * 1000
            if left is not None and left <= 0:
                raise self._took_too_long()
            ready = [descriptor for descriptor, _ in poll.poll(left)]
            if self._started.printed in ready and not self._take_printed():
                poll.unregister(self._started.printed)
            if self._started.socket.fileno() in ready:
                # What else the child sends along, such as descriptors, is not taken.
                try:
                    part = self._started.socket.recv(size - len(parts), socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
                except OSError:
                    part = b""
                if not part:
                    raise self._has_ended()
                parts += part
        return bytes(parts)

    def _take_printed(self) -> bool:
        try:
            part = os.read(self._started.printed, _KEPT)
        except BlockingIOError:  # another thread was faster
            return True
        self._printed += part
        del self._printed[:-_KEPT]
        return bool(part)

    def _drain(self) -> None:
        if self._ended is not None:
            return
        poll = select.poll()
        poll.register(self._started.printed, select.POLLIN)
        for _ in range(4):  # one that prints without end is not listened to for ever
            if not poll.poll(0) or not self._take_printed():
                return

    def _took_too_long(self) -> SandboxError:
        return self._fail("time", f"it took longer than {self._timeout:g} s" if self._timeout else "it hangs")

    def _has_ended(self) -> SandboxError:
        with contextlib.suppress(Exception):
            self._started.process.wait(5)
        status = self._started.process.returncode
        return self._fail("ended", f"its process ended with status {status}")

    def _fail(self, reason: Reason, why: str) -> SandboxError:
        """End the child, and return the error that says why."""
        why = self._ended or why
        output = self.printed
        self._ended = why
        self.close()
        shown = output.strip()[-2000:]
        return SandboxError(
            f"{self.label} was ended: {why}" + (f"\n{shown}" if shown else ""),
            path=self.label,
            reason=reason,
            output=output,
        )


_CHECKED = {
    "passed": (bool,),
    "problem": (str, NoneType),
    "text": (str,),
    "entries": [
        {
            "name": (str,),
            "outcome": (str,),
            "largest": (int, float, NoneType),
            "differences": [
                {"where": (str,), "what": (str,), "size": (int, float, NoneType), "tolerated": (bool,)}
            ],
        }
    ],
}
"""The form of what `check_plainly` returns: a dictionary has these keys, a list what its one part says."""


def _fits(value: Any, form: Any) -> bool:
    """Tell whether an answer has a form."""
    if isinstance(form, dict):
        return (
            isinstance(value, dict)
            and value.keys() == form.keys()
            and all(_fits(value[key], below) for key, below in form.items())
        )
    if isinstance(form, list):
        return isinstance(value, list) and all(_fits(part, form[0]) for part in value)
    return type(value) in form


def _end(started: Started, owner: int) -> None:
    if owner != os.getpid():  # a fork, which gets all that this process would do at its end
        return
    started.process.kill()
    started.process.wait()
    # Bubblewrap ends what it started after it; that holds the other end of this as long as it runs.
    ready = select.poll()
    ready.register(started.printed, select.POLLIN)
    until = time.monotonic() + _ENDING
    while time.monotonic() < until and ready.poll(1000):
        with contextlib.suppress(BlockingIOError):
            if not os.read(started.printed, _KEPT):
                break
    started.socket.close()
    os.close(started.printed)
    if started.folder is not None:
        started.folder.close()


@contextlib.contextmanager
def _file_of(archive: ArchiveReader) -> Any:
    """Give a path of a whole file with the content of an archive, until the child has opened it."""
    if not archive.absent() and archive.path is not None and archive.is_unchanged():
        yield str(archive.path)
        return
    archive.fetch(archive.names)
    with work_folder() as folder:
        path = folder / "memory.case"
        path.write_bytes(archive.whole())
        yield str(path)
