"""Templates: processes that have imported PyTorch once, from which clean processes fork.

A fork of a template is as clean as a new interpreter, because the template is one: it has the flags, the
environment variables, limits and signals of this process (`wardian.processes.starting.inherited`), it runs
nothing of the user's, and has one thread. What may differ from one request to the next is set after the fork.
What cannot be set, or was read while it imported, must be the same, or another template is started:
docs/design/templates.md.

Only Linux has what it takes: a safe `fork`, descriptors of processes, and a signal when a parent dies.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from wardian.forks import after_fork, new_lock
from wardian.processes.search_path import SearchPath
from wardian.processes.starting import command, environment, inherited
from wardian.processes.template_process import LARGEST

__all__ = [
    "Forked",
    "Start",
    "StillBeginningError",
    "end_templates",
    "forget_further",
    "fork",
    "start_early",
    "start_further_early",
]


@dataclass(frozen=True, slots=True)
class Start:
    """How a template, or a new interpreter in its place, is made ready for a request."""

    prepare: str
    """Dotted name of a function that is called first. It takes `arguments`, and returns facts, as JSON."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of `prepare`, as JSON."""
    serves: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] = field(
        default=lambda arguments, facts: True, compare=False
    )
    """Tells, by its arguments and facts, whether a template that was made ready otherwise serves, too."""


class StillBeginningError(TimeoutError):
    """The preparation takes too long.

    Attributes:
        number: Of the process that does it.
        template_ends: Ends it.
    """

    def __init__(self, number: int, template_ends: Callable[[], None]) -> None:
        super().__init__(number)
        self.number = number
        self.template_ends = template_ends


class Forked:
    """A clean process that a template has forked; a context, at whose end it has ended.

    Attributes:
        number: Of the process.
        is_of_earlier: Whether it began with what was imported for an earlier request.
    """

    def __init__(self, asking: socket.socket, number: int, template: _Template) -> None:
        self.number = number
        self.is_of_earlier = template.is_further and template.has_served
        self._asking = asking
        self._template = template  # which lives as long

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._asking.shutdown(socket.SHUT_WR)  # which ends it, if it has not ended
            while self._asking.recv(LARGEST):
                pass
        self._asking.close()

    def leave(self) -> None:
        """End it, and do not wait."""
        self._asking.close()

    def wait(self, until: float | None) -> int | None:
        """Return its status, negative for a signal; None if it has not ended at a `time.monotonic()`."""
        answer = _receive(self._asking, until)
        # The template was killed, and its children with it.
        return None if answer is None else int(answer.get("status", -9))


def fork(
    start: Start,
    path: Sequence[str],
    question: Path,
    log: int,
    until: float | None,
    further: Start | None = None,
) -> Forked | None:
    """Fork a clean process from a template, which is started if there is none.

    Args:
        start: How the template is made ready.
        path: `sys.path` of the process.
        question: The file that it works on; see `wardian.processes.child.work`.
        log: Descriptor that it prints to.
        until: How long it may take, as a `time.monotonic()`; None for ever.
        further: How a template that is forked from that one begins with the question, if others will begin
            alike: its function takes the question.

    Returns:
        The process; None if it has to be started in another way.

    Raises:
        TimeoutError: if a template is not ready in time.
        StillBeginningError: if that is one that was forked from another one.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        with _folder() as folder:
            for _ in range(2):  # one that ends just now for want of requests is not asked again
                template = _find(start, path, until)
                if not template.is_ready(until):
                    return None
                if further is not None:
                    asked = question, log, folder
                    template = _find_further(template, further, path, asked, until) or template
                forked = template.fork(question, log, folder, until)
                if forked is not None:
                    template.has_served = True
                    return forked
                with _lock:
                    _forget(template)
    except TimeoutError:
        raise
    except OSError:
        pass
    return None


def start_early(start: Start, path: Sequence[str]) -> None:
    """Start a template that will be asked for soon, if none may serve, and do not wait until it is ready."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return
    with contextlib.suppress(OSError):
        key = inherited()
        with _lock:
            known = [template for template in _templates if template.key == key]
        if not any(template.may_serve(start, path) for template in known):
            with _lock:
                _begin(key, start, path)


def start_further_early(start: Start, further: Start, path: Sequence[str], question: Path, log: int) -> None:
    """Fork a template from another one for requests that will likely begin alike, and do not wait for it.

    Nothing is done if there is no template that it can be forked from at once.

    Args:
        start: How the other one was made ready.
        further: How the new one begins with the question.
        path: `sys.path` of the processes that will be asked for.
        question: A file like that of a request, which stays until the new one is ready.
        log: Descriptor that it prints to.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return
    with contextlib.suppress(OSError), _folder() as folder:
        key = inherited()
        with _lock:
            if further in _not_ready or any(template.start == further for template in _templates):
                return
            ordinary = [t for t in _templates if t.key == key and not t.is_further and t.is_begun]
        for origin in reversed(ordinary):
            if origin.serves(start, path, None) and origin.is_ready(None):
                _fork_further(origin, further, path, (question, log, folder), None)
                return


# Here, and not when one begins: `atexit` keeps each call, and a process may begin any number of them.
@atexit.register
def end_templates() -> None:
    """End the processes that wait to become clean processes of this one; those at work finish first.

    On Linux `wardian.pack` and `wardian.plan` start some that import PyTorch, so that the next call need not.
    They end by themselves with this process, or after five minutes without a call. After this function the
    next call starts new ones.

    >>> import wardian
    >>> wardian.end_templates()
    """
    with _lock:
        for template in _templates[:]:
            _forget(template)


def forget_further(prepare: str | None = None) -> None:
    """Let templates that were forked from another one end, but for those that another thread waits for.

    Args:
        prepare: Only those that are made ready by the function of this name.
    """
    with _lock:
        for template in _templates[:]:
            if template.is_further and template.is_begun and prepare in (None, template.start.prepare):
                _forget(template)


_MOST = 4
"""Templates of one process: each holds what importing PyTorch takes. There may be two more that were forked
from one of them, which share that memory: for runs that are watched, and for proofs."""

_lock = new_lock()
_templates: list[_Template] = []
"""The last used is the last."""


def _find(start: Start, path: Sequence[str], until: float | None) -> _Template:
    key = inherited()
    with _lock:
        known = [template for template in reversed(_templates) if template.key == key]
    for template in known:
        if template.serves(start, path, until):
            with _lock:
                if template in _templates:
                    _templates.remove(template)
                    _templates.append(template)
            return template
    with _lock:
        return _begin(key, start, path)


def _find_further(
    origin: _Template, start: Start, path: Sequence[str], asked: tuple[Path, int, int], until: float | None
) -> _Template | None:
    """Return a template that was forked from another one and is ready; None if none can be.

    Args:
        origin: That one.
        start: How it begins.
        path: `sys.path` of the process that is asked for.
        asked: What `_Template.fork` takes.
        until: How long it may take.
    """
    with _lock:
        known = [template for template in _templates if template.is_further and template.start == start]
    for template in known:
        if template.key == origin.key and template.serves(start, path, until) and template.is_ready(until):
            return template
    if start in _not_ready:
        return None
    template = _fork_further(origin, start, path, asked, until)
    if template.is_ready(until):
        return template
    _not_ready.append(start)
    with _lock:
        _forget(template)
    return None


def _fork_further(
    origin: _Template, start: Start, path: Sequence[str], asked: tuple[Path, int, int], until: float | None
) -> _Template:
    """Fork a template in place of the one that was made ready by the same function; it need not be ready."""
    forget_further(start.prepare)
    with _lock:
        template = _Template(origin.key, start, path, partial(origin.fork, *asked, until), is_further=True)
        _templates.append(template)
    return template


_not_ready: deque[Start] = deque(maxlen=16)
"""Beginnings after which no process can be forked: something has started a thread, or failed."""


def _begin(key: tuple[Any, ...], start: Start, path: Sequence[str]) -> _Template:
    template = _Template(key, start, path, partial(_run_template, path))
    told = {"prepare": start.prepare, "arguments": start.arguments}
    template.connection.send(json.dumps(told).encode())
    _templates.append(template)
    ordinary = [template for template in _templates if not template.is_further]
    if len(ordinary) > _MOST:
        _forget(ordinary[0])
    return template


def _run_template(path: Sequence[str], connection: socket.socket) -> None:
    """Start an interpreter that is a template.

    Args:
        path: Its `sys.path`.
        connection: Its end of the connection.
    """
    subprocess.run(
        command("serve", f"{os.getpid()}:{connection.fileno()}", path, apart=True),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(connection.fileno(),),
        env=environment(),
        start_new_session=True,
        check=False,
    )


def _end(template: _Template) -> None:
    with _lock:
        _forget(template)


def _forget(template: _Template) -> None:
    if template in _templates:
        _templates.remove(template)
    template.connection.close()


@contextlib.contextmanager
def _folder() -> Any:
    """Yield a descriptor of the current folder, which may have been removed."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Template:
    """A template, seen from the process that asks.

    Args:
        key: What it has from this process.
        start: How it is made ready.
        path: Its `sys.path`.
        run: Starts it, given its end of the connection; returns the fork if it is one.
        is_further: Whether it was forked from another one.

    Attributes:
        has_served: Whether a clean process was forked from it.
    """

    def __init__(
        self,
        key: tuple[Any, ...],
        start: Start,
        path: Sequence[str],
        run: Callable[[socket.socket], Forked | None],
        *,
        is_further: bool = False,
    ) -> None:
        self.key = key
        self.is_further = is_further
        self.has_served = False
        self.start = start
        self._found_in = SearchPath(path)
        self._hello: dict[str, Any] | None = None
        self._waiting = new_lock()
        self.connection, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            forked = run(other)
        self.number = None if forked is None else forked.number
        if forked is not None:
            # Not before: forks of this template hold it until they have ended.
            weakref.finalize(self, forked.leave)

    @property
    def is_begun(self) -> bool:
        """Whether it has told that it is ready, or not."""
        return self._hello is not None

    def may_serve(self, start: Start, path: Sequence[str]) -> bool:
        """Tell whether it serves, or cannot tell yet."""
        if start.prepare != self.start.prepare:
            return False
        if self._hello is None and not _has_message(self.connection, 0):
            return True
        return self.serves(start, path, None)

    def is_ready(self, until: float | None) -> bool:
        """Wait until it has imported; tell whether clean processes can fork from it."""
        if not self._waiting.acquire(timeout=-1 if until is None else _left(until)):
            raise TimeoutError
        try:
            if self._hello is None:
                hello = _receive(self.connection, until)
                if hello is None:
                    if self.number is not None:  # whoever asks may want to see where it is
                        raise StillBeginningError(self.number, partial(_end, self))
                    with _lock:
                        _forget(self)
                    raise TimeoutError
                self._hello = {"ready": False, "asked": (), "used": (), "facts": None, **hello}
            return bool(self._hello["ready"])
        finally:
            self._waiting.release()

    def serves(self, start: Start, path: Sequence[str], until: float | None) -> bool:
        """Tell whether a process for this request would have been made ready just so, with that path."""
        if start.prepare != self.start.prepare:
            return False
        if start == self.start and self._found_in.is_untouched(path):
            return True
        if not self.is_ready(until):
            return False
        assert self._hello is not None
        asked, used = frozenset(self._hello["asked"]), self._hello["used"]
        if start != self.start and not start.serves(self.start.arguments, self._hello["facts"]):
            return False
        # A fork of a further one looks by itself whether a file has changed that was imported.
        return self._found_in.finds_the_same(path, asked, used, by_name=self.is_further)

    def fork(
        self,
        question: Path,
        log: int,
        folder: int,
        until: float | None,
        connection: socket.socket | None = None,
    ) -> Forked | None:
        """Fork a process; None if the template is no more.

        Args:
            question: What it works on.
            log: Descriptor that it prints to.
            folder: Descriptor of the folder that it works in.
            until: How long it may take to fork.
            connection: Its end of a connection, if it shall be a template.
        """
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        further = [] if connection is None else [connection.fileno()]
        try:
            with other:
                socket.send_fds(
                    self.connection, [os.fsencode(question)], [other.fileno(), log, folder, *further]
                )
            answer = _receive(own, until)
        except OSError:
            answer = {}
        if answer is None:
            own.close()
            raise TimeoutError
        if "number" not in answer:
            own.close()
            return None
        return Forked(own, answer["number"], self)


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


_MOMENT = 0.5
"""Seconds after which one who waits looks whether the connection is still open."""


def _has_message(connection: socket.socket, seconds: float | None) -> bool:
    """Wait until there is something to receive, or the connection has ended; tell whether it is so."""
    until = None if seconds is None else time.monotonic() + seconds
    # Linux wakes nobody who waits for what another thread closes: `man 2 poll`.
    while (descriptor := connection.fileno()) >= 0:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        left = _MOMENT if until is None else min(_MOMENT, _left(until))
        if poll.poll(left * 1000):
            return True
        if until is not None and time.monotonic() >= until:
            return False
    return True


def _receive(connection: socket.socket, until: float | None) -> dict[str, Any] | None:
    """Return the next message, empty if there will be none; None if it does not come in time."""
    if not _has_message(connection, None if until is None else _left(until)):
        return None
    try:
        message = connection.recv(LARGEST)
    except OSError:
        message = b""
    return dict(json.loads(message)) if message else {}


@after_fork
def _leave_templates() -> None:
    """Leave the templates of the process that this one is a copy of alone."""
    for template in _templates[:]:
        _forget(template)
