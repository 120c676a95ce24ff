"""Interpreters for tests that need a new process and not a new import of PyTorch.

A server imports torch and Wardian once and forks a process for each script, which has its own folder,
variables, path, arguments and `__main__`, and ends as an interpreter does. The clean processes that it packs
with fork from templates of the server. Tests of how an interpreter starts, and of what is imported, want a
new one: `isolated=True`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib.machinery
import json
import multiprocessing.process
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NoReturn, Self

__all__ = ["Process", "may_share", "run", "start", "without_leaks"]

ROOT = Path(__file__).parents[1]

_SET = frozenset(
    {
        "PYTEST_CURRENT_TEST",
        "PYTHONPATH",
        "WARDIAN_CACHE",
        "WARDIAN_OPEN_CASES",
    }
)
"""Variables that a server gives its processes; for other ones there is another server.

Each is one that a template gives its forks, too (`wardian.processes.starting`): otherwise each process would
start templates of its own.
"""

_servers: dict[tuple[Any, ...], socket.socket] = {}


_FIRST = {name: value for name, value in os.environ.items() if name not in _SET}
_BY_LIBRARIES = frozenset({"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR"})
"""Variables that sklearn and PyTorch set in the process of a test that imports them: no script means them."""


def without_leaks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a script of a test gets, without what libraries have set in this process."""
    return {n: v for n, v in environment.items() if n not in _BY_LIBRARIES or n in _FIRST}


def may_share(environment: Mapping[str, str]) -> bool:
    """Tell whether a process with these variables may come from a server: others would each want one."""
    kept = {name: value for name, value in environment.items() if name not in _SET}
    return sys.platform == "linux" and kept == _FIRST


class Process:
    """A process as `subprocess.Popen` shows one, with texts.

    Attributes:
        pid: Its number.
        returncode: Its status, negative for a signal; None until it was waited for.
    """

    def __init__(
        self, asking: socket.socket, stdin: IO[str] | None, stdout: IO[str] | None, stderr: IO[str] | None
    ) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.pid: int = json.loads(asking.recv(1 << 10))
        self.returncode: int | None = None
        self._asking = asking

    def communicate(self, text: str | None = None) -> tuple[str, str]:
        """Write *text*, read all, wait; return what was printed to both streams."""
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.write(text or "")
                self.stdin.close()
        # At the end of a `with` block all may have been read before.
        streams = [found for found in (self.stdout, self.stderr) if found is not None and not found.closed]
        read: dict[int, list[bytes]] = {stream.fileno(): [] for stream in streams}
        poll = select.poll()
        for descriptor in read:
            poll.register(descriptor, select.POLLIN)
        left = set(read)
        while left:
            for descriptor, _ in poll.poll():
                if part := os.read(descriptor, 1 << 16):
                    read[descriptor].append(part)
                else:
                    poll.unregister(descriptor)
                    left.discard(descriptor)
        texts = [b"".join(parts).decode(errors="surrogateescape") for parts in read.values()]
        for stream in streams:
            stream.close()
        self.wait()
        out, err = [*texts, "", ""][:2]
        return out, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.communicate()

    def poll(self) -> int | None:
        """Return the status; None if it has not ended."""
        if self.returncode is None and select.select([self._asking], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait for the end; return the status."""
        if self.returncode is None:
            self.returncode = int(json.loads(self._asking.recv(1 << 10)))
            self._asking.close()
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    flags: Sequence[str] = (),
    stdin: int | None = subprocess.DEVNULL,
    merged: bool = False,
) -> Process:
    """Start what `python *flags *arguments` would, with PyTorch imported.

    Args:
        arguments: `-c` and code, `-m` and a module, `-`, or a file; and what goes to `sys.argv`.
        folder: Where it works.
        environment: All of its environment variables.
        flags: Those of the interpreter.
        stdin: `subprocess.PIPE` or `subprocess.DEVNULL`.
        merged: Send both streams to one.
    """
    kept = {name: value for name, value in environment.items() if name not in _SET}
    key = (tuple(flags), tuple(sorted(kept.items())))
    if key not in _servers:
        _servers[key] = _begin(flags, kept)
    asking, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    given: dict[str, int] = {}
    ours: dict[str, IO[str]] = {}
    if stdin == subprocess.PIPE:
        given["stdin"], writing = os.pipe()
        ours["stdin"] = os.fdopen(writing, "w")
    else:
        given["stdin"] = os.open(os.devnull, os.O_RDONLY)
    for name in ["stdout"] if merged else ["stdout", "stderr"]:
        reading, given[name] = os.pipe()
        ours[name] = os.fdopen(reading)
    with tempfile.TemporaryFile() as question, answering:
        told = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        question.write(json.dumps({**told, "safe": "-P" in flags}).encode())
        question.flush()
        descriptors = [question.fileno(), answering.fileno(), *given.values()]
        socket.send_fds(_servers[key], [b"?"], descriptors)
    for descriptor in given.values():
        os.close(descriptor)
    return Process(asking, ours.get("stdin"), ours["stdout"], ours.get("stderr"))


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    flags: Sequence[str] = (),
    isolated: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run `python *flags *arguments` to its end, in a fork where there are servers; see `start`.

    Args:
        arguments: As those of `start`.
        folder: Where it works.
        environment: All of its environment variables.
        flags: Those of the interpreter.
        isolated: Start an interpreter.
    """
    if isolated or sys.platform != "linux":
        return subprocess.run(
            [sys.executable, *flags, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    process = start(arguments, folder=folder, environment=environment, flags=flags)
    out, err = process.communicate()
    return subprocess.CompletedProcess(arguments, process.wait(), out, err)


def _begin(flags: Sequence[str], environment: Mapping[str, str]) -> socket.socket:
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(ROOT / 'src')!r});"
        f" from tests.interpreters import serve; serve({other.fileno()})"
    )
    with other:
        process = subprocess.Popen(
            [sys.executable, *flags, "-c", code],
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=(other.fileno(),),
        )
    atexit.register(process.wait)
    atexit.register(own.close)  # which comes first
    return own


def serve(descriptor: int) -> None:
    """Fork a process for each request, until the tests end."""
    connection = socket.socket(fileno=descriptor)
    path = [entry for entry in sys.path if entry not in (str(ROOT), str(ROOT / "src"), "")]
    import torch  # noqa: F401

    import wardian
    import wardian.loading.case

    del sys.modules["tests"], sys.modules["tests.interpreters"]
    wardian.pack  # noqa: B018  loads it
    shared = _SharedTemplates()
    gc.collect()
    gc.freeze()  # or each fork would copy the pages of all that it walks through
    children: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready = select.select([descriptor, *children], [], [])[0]
        for ended in children.keys() & ready:
            number, answering = children.pop(ended)
            _, status = os.waitpid(number, 0)
            with contextlib.suppress(OSError):
                answering.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
            answering.close()
            os.close(ended)
        if descriptor not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 10, 5)
        if not message:
            os._exit(0)
        question, answered, *streams = descriptors
        answering = socket.socket(fileno=answered)
        shared.wait()
        number = os.fork()
        if number == 0:
            with os.fdopen(question, "rb") as file:
                file.seek(0)
                request = json.loads(file.read())
            for own in (connection, answering, *(socket for _, socket in children.values())):
                own.close()
            for ended in children:
                os.close(ended)
            for stream, given in zip((0, 1, 2), [*streams, *streams[-1:]], strict=False):
                os.dup2(given, stream)
            for given in streams:
                os.close(given)
            shared.take()
            _end(_run(request, path))
        children[os.pidfd_open(number)] = number, answering
        answering.send(json.dumps(number).encode())
        for given in (question, *streams):
            os.close(given)


class _SharedTemplates:
    """The templates of the server, for the processes that it forks."""

    def __init__(self) -> None:
        from wardian.processes import templates

        self._module = templates
        self._begin()

    def _begin(self) -> None:
        from wardian.packing.proving.beginnings import guess_before_run
        from wardian.packing.tracing.in_child import BEGINNING
        from wardian.processes.starting import search_path

        self._module.end_templates()
        for begin in (BEGINNING, guess_before_run(())):
            assert begin is not None  # without libraries
            self._module.start_early(begin, search_path())
        self._templates = self._module._templates[:]
        # A fork forgets the connections.
        self._connections = [os.dup(template.connection.fileno()) for template in self._templates]

    def wait(self) -> None:
        """Wait until they have imported PyTorch; begin anew if one has ended or is out of date."""
        from wardian.processes.starting import search_path

        begun = all(template.is_begun for template in self._templates)
        if begun and not all(self._lasts(template, search_path()) for template in self._templates):
            for descriptor in self._connections:
                os.close(descriptor)
            self._begin()
        for template in self._templates:
            template.is_ready(None)

    @staticmethod
    def _lasts(template: Any, path: list[str]) -> bool:
        """Tell whether a template, which says nothing unasked, has not ended, and serves."""
        has_ended = select.select([template.connection], [], [], 0)[0]
        return not has_ended and template.serves(template.start, path, None)

    def take(self) -> None:
        """Use them in a fork."""
        for template, descriptor in zip(self._templates, self._connections, strict=True):
            template.connection = socket.socket(fileno=descriptor)
        self._module._templates[:] = self._templates


def _end(status: int) -> NoReturn:
    """End as an interpreter does, but for what it takes apart then: of PyTorch, that takes a second."""
    try:
        end_threads: Any = vars(threading)["_shutdown"]
        end_threads()
        run_exit_functions: Any = vars(atexit)["_run_exitfuncs"]
        run_exit_functions()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _run(request: dict[str, Any], path: list[str]) -> int:
    """Be an interpreter that was started with these arguments; return its status."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    added = request["environment"].get("PYTHONPATH", "")
    sys.path[:] = [*(os.path.abspath(entry) for entry in added.split(os.pathsep) if added), *path]
    what, *rest = request["arguments"]
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=__builtins__, __spec__=None, __package__=None)
    folder = ""
    if what == "-c":
        code, name, sys.argv = rest[0], "<string>", ["-c", *rest[1:]]
    elif what == "-":
        code, name, sys.argv = sys.stdin.read(), "<stdin>", ["-", *rest]
    elif what == "-m":
        folder, sys.argv = os.getcwd(), ["-m", *rest[1:]]
    else:
        name, sys.argv = what, [what, *rest]
        code, folder = Path(what).read_bytes(), os.path.dirname(os.path.realpath(what))
        main.__dict__["__file__"] = what
        main.__dict__["__loader__"] = importlib.machinery.SourceFileLoader("__main__", what)
    if not request["safe"]:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    vars(multiprocessing.process)["ORIGINAL_DIR"] = os.getcwd()  # to which spawned processes go
    sys.modules["__main__"] = main
    run_as_main: Any = vars(runpy)["_run_module_as_main"]  # what `python -m` calls
    try:
        if what == "-m":
            run_as_main(rest[0])
        else:
            exec(compile(code, name, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001  told as an interpreter does
        trace = None if error.__traceback__ is None else error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0
