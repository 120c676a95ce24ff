"""A template: a clean process that has imported what many need, and becomes each of them by a fork.

`wardian.processes.templates` starts it, and says there what makes a fork as clean as a new interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.machinery
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from wardian.domain.names import top_level
from wardian.processes import fence
from wardian.processes.child import limit_recursion, work
from wardian.processes.ties import end_group, end_with_parent, show_stack_when_asked

__all__ = ["IDLE", "LARGEST", "serve"]

IDLE = 300.0
"""Seconds after which a template that nobody asks ends."""

LARGEST = 1 << 16
"""Bytes of the largest message."""

_DESCRIPTORS = 4
"""How many descriptors come with a request at most: where the answer goes, the log, the folder to work in,
and the connection of what is to be a template itself."""


_AT_THE_START = ("sitecustomize", "usercustomize")
"""Modules that an interpreter looks for when it starts: https://docs.python.org/3/library/site.html"""


def serve(argument: str) -> NoReturn:
    """Be a template until the process that asked for it ends, or asks for nothing for long.

    Args:
        argument: The number of that process, a colon, and the descriptor of the connection to it.
    """
    asking, descriptor = map(int, argument.split(":"))
    connection = socket.socket(fileno=descriptor)
    # A copy of the other process may hold its end of the connection open.
    watched = os.pidfd_open(asking)
    os.chdir(os.sep)
    start = json.loads(connection.recv(LARGEST))
    fence.put_up(())
    _be_template(connection, watched, start["prepare"], start["arguments"])


def _be_template(
    connection: socket.socket, watched: int, prepare: str, arguments: dict[str, Any]
) -> NoReturn:
    """Make this process ready, say so, and serve."""
    from wardian.environment.modules import known_attribute

    module, _, function = prepare.rpartition(".")
    with _ending_with(connection), _noting() as (asked, used):
        facts = getattr(importlib.import_module(module), function)(arguments)
    hello = {
        "ready": _has_one_thread(),
        "asked": sorted(asked.union(_AT_THE_START, (top_level(name) for name in sys.modules))),
        "used": sorted(
            used.union(
                _used_entries(known_attribute(module, "__spec__") for module in list(sys.modules.values()))
            )
        ),
        "facts": facts,
    }
    # What is there lives as long as each fork does. The collector writes to all that it looks at, so that a
    # fork would copy the memory of it: https://docs.python.org/3/library/gc.html#gc.freeze
    gc.freeze()
    connection.send(json.dumps(hello).encode())
    _Server(connection, watched).serve()
    os._exit(0)


@contextmanager
def _ending_with(connection: socket.socket) -> Iterator[None]:
    """End this process, whatever it does in the block, when the other end of the connection is closed."""
    import fcntl  # which is there wherever `fork` is

    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    # The signal that tells of it, SIGIO, ends a process that does not handle it.
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(connection, fcntl.F_SETFL, flags)


@contextmanager
def _noting() -> Iterator[tuple[set[str], set[str]]]:
    """Yield what the block will have looked for: top-level names, and entries of `sys.path` that had some."""
    asked: set[str] = set()
    used: set[str] = set()
    finder: Any = importlib.machinery.PathFinder
    find, original = finder.find_spec, vars(finder)["find_spec"]

    def noting(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        asked.add(top_level(fullname))
        found: importlib.machinery.ModuleSpec | None = find(fullname, path, target)
        used.update(_used_entries([found]))
        return found

    # The finder itself, since what is in `sys.meta_path` may be wrapped meanwhile.
    finder.find_spec = staticmethod(noting)
    try:
        yield asked, used
    finally:
        finder.find_spec = original


def _used_entries(specs: Iterable[importlib.machinery.ModuleSpec | None]) -> Iterator[str]:
    """Yield the entries of `sys.path` that modules were found in."""
    for spec in specs:
        if spec is None or "." in spec.name:
            continue
        if spec.submodule_search_locations is not None:
            places = [os.path.dirname(place) for place in spec.submodule_search_locations]
        else:
            places = [os.path.dirname(spec.origin)] if spec.has_location and spec.origin else []
        yield from (place for place in places if place in sys.path)


def _has_one_thread() -> bool:
    """Tell whether no other thread is left after a fork: what it does or holds would be lost.

    OpenBLAS, which numpy brings, has a thread as soon as it is loaded; it ends it before each fork, and
    starts another one when it computes: https://github.com/OpenMathLib/OpenBLAS/blob/v0.3.30/driver/others/blas_server.c
    """
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return len(os.listdir("/proc/self/task")) == 1


@dataclass(frozen=True, slots=True)
class _Child:
    number: int
    ended: int
    """Descriptor that is readable when the process has ended."""
    asking: socket.socket
    """Told of its number, then of its status; whoever shuts it wants it ended."""


class _Server:
    def __init__(self, connection: socket.socket, watched: int) -> None:
        self._connection = connection
        self._watched = watched
        self._children: list[_Child] = []
        self._closed = False
        self._poll = select.poll()
        for descriptor in (connection.fileno(), watched):
            self._poll.register(descriptor, select.POLLIN)

    def serve(self) -> None:
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll(None if self._children else IDLE * 1000)}
            for child in [c for c in self._children if c.ended in ready or c.asking.fileno() in ready]:
                self._end(child, signal.SIGTERM if child.ended in ready else signal.SIGKILL)
            if not ready or self._watched in ready:
                return
            if self._connection.fileno() in ready and not self._start():
                # Nobody will ask any more; those who have asked get their answers.
                self._poll.unregister(self._connection.fileno())
                self._closed = True
            if self._closed and not self._children:
                return

    def _start(self) -> bool:
        """Start the child that is asked for; tell whether one was."""
        message, descriptors, _, _ = socket.recv_fds(self._connection, LARGEST, _DESCRIPTORS)
        if not message:
            return False
        answering, log, folder, *further = descriptors
        asking = socket.socket(fileno=answering)
        template = os.getpid()
        try:
            number = os.fork()
        except OSError:  # who asks sees the end of the connection
            asking.close()
        else:
            if number == 0:
                for own in (self._connection, asking, *(child.asking for child in self._children)):
                    own.close()
                for descriptor in (self._watched, *(child.ended for child in self._children)):
                    os.close(descriptor)
                _be_clean(template, log, folder)
                if further:
                    _be_further_template(template, message.decode(), *further)
                work(message.decode(), _become)
            child = _Child(number, os.pidfd_open(number), asking)
            self._children.append(child)
            self._poll.register(child.ended, select.POLLIN)
            self._poll.register(asking.fileno(), select.POLLIN)
            _tell(asking, {"number": number})
        for descriptor in (log, folder, *further):
            os.close(descriptor)
        return True

    def _end(self, child: _Child, how: int) -> None:
        """End a child with all that it has started, and tell its status."""
        if how == signal.SIGKILL:
            os.kill(child.number, how)
        end_group(child.number, how)
        _, status = os.waitpid(child.number, 0)
        _tell(child.asking, {"status": os.waitstatus_to_exitcode(status)})
        self._poll.unregister(child.ended)
        self._poll.unregister(child.asking.fileno())
        self._children.remove(child)
        os.close(child.ended)
        child.asking.close()


def _tell(asking: socket.socket, what: dict[str, int]) -> None:
    with contextlib.suppress(OSError):  # it waits no more
        asking.send(json.dumps(what).encode())


def _be_clean(template: int, log: int, folder: int) -> None:
    """Be a process like one that was started for a request: a session, a log and a folder of its own."""
    os.setsid()
    end_with_parent(template)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.fchdir(folder)
    os.close(log)
    os.close(folder)


def _be_further_template(template: int, question: str, descriptor: int) -> NoReturn:
    """Be a template that begins where another one ended, for requests that begin alike.

    Args:
        template: The number of that one, with which this one ends.
        question: Path of the first of these requests.
        descriptor: Of the connection to the process that asks.
    """
    connection = socket.socket(fileno=descriptor)
    show_stack_when_asked()
    request = json.loads(Path(question).read_text())
    _become(request)
    limit_recursion(request)
    fence.put_up(request["allow"])
    try:
        _be_template(connection, os.pidfd_open(template), request["beginning"], request)
    except BaseException:  # noqa: BLE001  whatever it is, the request itself will meet and tell it
        os._exit(1)


def _become(request: dict[str, Any]) -> None:
    """Have what the process that asks has now, where the template has what that one had when it started."""
    os.umask(request["umask"])
    for name, value in request["variables"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    sys.path[:] = request["sys_path"]
    importlib.invalidate_caches()
    for name, renew in _RENEWED.items():
        if (module := sys.modules.get(name)) is not None:
            renew(module)


def _renew_process(processes: Any) -> None:
    processes.current_process().authkey = os.urandom(32)
    with contextlib.suppress(OSError):  # it was removed
        processes.ORIGINAL_DIR = os.getcwd()  # to which spawned processes go


_RENEWED: dict[str, Callable[[Any], None]] = {
    "multiprocessing.process": _renew_process,
    "numpy.random": lambda numpy_random: numpy_random.seed(),
}
"""Functions that renew what a module drew or asked for when it was imported, which a copy would share."""
