"""Objects that belong to a process or its platform: a new one is written, or the reason why there is none."""

from __future__ import annotations

import contextvars
import copyreg
import ctypes
import io
import logging
import os
import pathlib
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from wardian.capture.homes import is_importable
from wardian.environment.modules import is_module, variables_of
from wardian.pickling.reducers.row import Answer, Row

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["OfProcessError", "ROWS", "reduce_path"]

_KIND_OF_PATH = type(pathlib.Path())
_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedReader, io.FileIO)


class OfProcessError(TypeError):
    """Something is of this process, and a new one would not do.

    Args:
        what: What it is, as the end of a sentence.
        fix: What settles it.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.fix = fix

    def __str__(self) -> str:
        return str(self.args[0])


def _answer_of_process(kind: type) -> Answer | None:
    """Return what answers for instances of *kind*, None if they belong to no process.

    What a class says itself of how it is pickled counts more than what one above it is.
    """
    if kind not in _known:
        _known[kind] = _find(kind)
    return _known[kind]


_known: weakref.WeakKeyDictionary[type, Answer | None] = weakref.WeakKeyDictionary()


def _find(kind: type) -> Answer | None:
    if issubclass(kind, _FILES):
        return _file
    for base in kind.__mro__:
        answer = _ANSWERS.get(f"{base.__module__}.{base.__qualname__}")
        if answer is not None:
            names = ("__reduce__", "__reduce_ex__", "__getstate__")
            return answer if all(getattr(kind, n) is getattr(base, n) for n in names) else None
    # Its closer removes the file of that name.
    is_temporary = kind.__module__ == "tempfile" and kind.__name__.startswith("_TemporaryFileWrapper")
    return (lambda capture, obj: _file(capture, obj.file)) if is_temporary else None


def _without(owner: Any, base: Any) -> dict[str, Any]:
    """Return the attributes of *owner* that the constructor of *base* does not set."""
    return {name: value for name, value in vars(owner).items() if name not in base.__init__.__code__.co_names}


def _above(obj: Any, name: str) -> Any:
    """Return the class of this name that *obj* is an instance of."""
    return next(base for base in type(obj).__mro__ if base.__qualname__ == name)


def _pool(capture: Capture, pool: Any) -> Any:
    """Return an executor as a new one with the settings of this one."""
    base = next(base for base in type(pool).__mro__ if base.__module__.startswith("concurrent.futures."))
    told = {name.removeprefix("_"): getattr(pool, name, None) for name in _SETTINGS}
    told = {name: value for name, value in told.items() if value and not _is_counted(value, base)}
    is_shut_down = any(getattr(pool, name, False) for name in ("_shutdown", "_shutdown_thread"))
    work = {name: value for name in ("_initializer", "_initargs") if (value := getattr(pool, name, None))}
    arguments = (type(pool), base, told, is_shut_down)
    return capture.helper("executor"), arguments, {**work, **_without(pool, base)} or None


_SETTINGS = ("_max_workers", "_thread_name_prefix", "_mp_context", "_max_tasks_per_child")
"""Attributes in which executors keep what their constructors were given by these names."""


def _is_counted(value: Any, base: Any) -> bool:
    """Tell whether a prefix is that of a pool without one: its number in this process."""
    start = f"{base.__name__}-"
    return isinstance(value, str) and value.startswith(start) and value.removeprefix(start).isdigit()


def _thread(capture: Capture, thread: Any) -> Any:
    """Return a thread as it is before it starts, or one that has ended: none runs where a case is loaded."""
    base = _above(thread, "Thread")
    has_started = thread.ident is not None
    if thread.is_alive():
        what = f"is a thread ({thread.name!r}) that runs here and has ended in the case"
        capture.note_loss(thread, what, runs=True)
    # Not as arguments: the function may be a method of what holds the thread.
    work = {} if has_started else {name: vars(thread)[name] for name in ("_target", "_args", "_kwargs")}
    arguments = (type(thread), base, thread.name, thread.daemon, has_started)
    return capture.helper("thread"), arguments, {**work, **_without(thread, base)} or None


def _future(capture: Capture, future: Any) -> Any:
    if future.done():
        return NotImplemented
    raise OfProcessError("nobody ends it where the case is loaded", "wait for its result() before packing")


def _file(capture: Capture, file: Any) -> Any:
    """Return a file that drops what is written; NotImplemented for one that is read.

    Runs and handlers of logging libraries keep the files that they write, whose folders are not
    where the case is loaded.
    """
    if not file.closed and file.readable():
        return NotImplemented
    encoding = file.encoding if isinstance(file, io.TextIOWrapper) else None
    if _is_of_system(file):
        named = f" ({file.name})" if isinstance(file.name, str) else ""
        what = f"is a file that is open for writing here{named}: the case drops what is written to it"
        capture.note_replaced(file, what)
    return capture.helper("dropping"), (getattr(file, "name", None), encoding, file.closed)


def _is_of_system(file: Any) -> bool:
    """Tell whether somebody may read what is written to a file: it is open, and none that drops it anyway.

    The standard streams are those of every process, by whatever object they are written to.
    """
    try:
        return bool(file.fileno() > _STANDARD_ERROR and file.name != os.devnull)
    except (OSError, ValueError):  # what an open case has in the place of one; it is closed
        return False


_STANDARD_ERROR = 2
"""The last of the numbers that the standard streams have."""


def _process(capture: Capture, process: Any) -> Any:
    """Return a process that has ended: where the case is loaded, its number may be another one's."""
    ended: dict[str, Any] = {"stdin": None, "stdout": None, "stderr": None, "_child_created": False}
    if process.returncode is None:
        capture.note_loss(process, f"is a process ({process.pid}) that runs here and has ended in the case")
    ended["returncode"] = process.returncode or 0
    return copyreg.__newobj__, (type(process),), {**vars(process), **ended}  # type: ignore[attr-defined]


def _socket(capture: Capture, found: Any) -> Any:
    """Return a closed socket: nobody is at the other end where the case is loaded."""
    if found.fileno() >= 0:
        capture.note_loss(found, "is a socket that is open here and closed in the case")
    return capture.helper("closed_socket"), ()


def _queue(module: str, name: str) -> Answer:
    """Return what writes an empty queue as a new one, made by a public name."""

    def answer(capture: Capture, found: Any) -> Any:
        if not found.empty():
            raise OfProcessError(
                "it holds items, which cannot be read and left in it", "empty it before packing"
            )
        return capture.named(module, name), ()

    return answer


def _new(module: str, name: str, *attributes: str) -> Answer:
    """Return what writes a new one, made by a public name.

    Args:
        module: Where its maker is.
        name: Of the maker.
        attributes: What the maker is given: attributes of the one that is here.
    """
    return lambda capture, obj: (
        capture.named(module, name),
        tuple(value() if callable(value) else value for value in (getattr(obj, a) for a in attributes)),
    )


def _refused(what: str, fix: str) -> Answer:
    """Return what refuses, and says why."""

    def answer(capture: Capture, obj: Any) -> Any:
        raise OfProcessError(what, fix)

    return answer


_LATER = "make it where it is used first, and leave it out in the __getstate__ of the class that holds it"


def _server(capture: Capture, server: Any) -> Any:
    """Refuse a server that listens; one that is closed comes back so."""
    if server.socket.fileno() < 0:
        return NotImplemented
    raise OfProcessError("it listens in this process", _LATER)


def _event(capture: Capture, event: Any) -> Any:
    if event.is_set():
        raise OfProcessError("it is set, for processes of this one", "clear() it before packing")
    return capture.named("multiprocessing", "Event"), ()


def _number(capture: Capture, obj: Any) -> Any:
    value = obj.get_obj()
    if hasattr(value, "value") and not hasattr(value, "__len__"):
        return capture.named("multiprocessing", "Value"), (type(value), value.value)
    return NotImplemented


def _selector(capture: Capture, selector: Any) -> Any:
    if selector.get_map():
        raise OfProcessError("it watches files of this process", "unregister() them before packing")
    return capture.named("selectors", "DefaultSelector"), ()


def _random(capture: Capture, generator: Any) -> Any:
    """Return a new one: the system's randomness has no state."""
    new = copyreg.__newobj__  # type: ignore[attr-defined]
    # Its `__setstate__` refuses to be called.
    return new, (type(generator),), dict(vars(generator)), None, None, capture.helper("set_state")


def _environment(capture: Capture, found: Any) -> Any:
    return capture.named("os", "environ") if found is os.environ else NotImplemented


def _path(capture: Capture, path: Any) -> Any:
    """Return a path of the platform where it is loaded; `PosixPath` cannot be made on Windows."""
    reduced = reduce_path(path)
    return reduced if reduced is NotImplemented else (capture.named("pathlib", "Path"), reduced[1])


def reduce_path(obj: Any) -> Any:
    """Return how a path is made where it is loaded, as `__reduce__` does; NotImplemented for all else."""
    return (pathlib.Path, obj.parts) if type(obj) is _KIND_OF_PATH else NotImplemented


_ANSWERS: dict[str, Answer] = {
    # Threads and what runs in them
    "concurrent.futures.thread.ThreadPoolExecutor": _pool,
    "concurrent.futures.process.ProcessPoolExecutor": _pool,
    "concurrent.futures._base.Future": _future,
    "threading._MainThread": _new("threading", "main_thread"),
    "threading.Thread": _thread,
    "_queue.SimpleQueue": _queue("queue", "SimpleQueue"),
    # Event loops
    "asyncio.events.AbstractEventLoop": lambda capture, loop: (
        capture.helper("event_loop"),
        (loop.is_closed(),),
    ),
    "_asyncio.Future": _refused("its event loop is of this process", "await it before packing"),
    "asyncio.base_events.Server": _refused("it serves in this process", _LATER),
    "socketserver.BaseServer": _server,
    "asyncio.subprocess.Process": _refused("it runs beside this process", _LATER),
    "selectors.BaseSelector": _selector,
    # Processes
    "subprocess.Popen": _process,
    "multiprocessing.context.DefaultContext": lambda capture, context: capture.named(
        "multiprocessing.context", "_default_context"
    ),
    "multiprocessing.context.BaseContext": lambda capture, context: (
        capture.helper("process_context"),
        (context.get_start_method(),),
    ),
    "multiprocessing.process.BaseProcess": _refused("it is a process of this one", _LATER),
    "multiprocessing.pool.Pool": _refused(
        "its workers run beside this process",
        "hold a concurrent.futures.ThreadPoolExecutor or ProcessPoolExecutor, which are packed as new ones;"
        f" or {_LATER}",
    ),
    "multiprocessing.managers.BaseManager": _refused("its server runs beside this process", _LATER),
    "multiprocessing.synchronize.Event": _event,
    "multiprocessing.synchronize.Lock": _new("multiprocessing", "Lock"),
    "multiprocessing.synchronize.RLock": _new("multiprocessing", "RLock"),
    "multiprocessing.synchronize.BoundedSemaphore": _new("multiprocessing", "BoundedSemaphore", "get_value"),
    "multiprocessing.synchronize.Semaphore": _new("multiprocessing", "Semaphore", "get_value"),
    "multiprocessing.synchronize.Condition": _new("multiprocessing", "Condition"),
    "multiprocessing.synchronize.Barrier": _new("multiprocessing", "Barrier", "parties"),
    "multiprocessing.queues.JoinableQueue": _queue("multiprocessing", "JoinableQueue"),
    "multiprocessing.queues.Queue": _queue("multiprocessing", "Queue"),
    "multiprocessing.queues.SimpleQueue": _queue("multiprocessing", "SimpleQueue"),
    "multiprocessing.sharedctypes.SynchronizedBase": _number,
    # Files, and what is like one
    "_csv.writer": lambda capture, writer: (capture.helper("dropping_rows"), ()),
    "socket.socket": _socket,
    # Of the system
    "random.SystemRandom": _random,
    "os._Environ": _environment,
    "pathlib.Path": _path,
    "pathlib._local.Path": _path,
}
"""Class → what is written for instances of it and of classes below it. By name: most are never imported."""


def _logger(capture: Capture, logger: logging.Logger) -> Any:
    """Return the state of a logger that `logging.getLogger` does not know; others pickle by name."""
    if logger is logging.root or logging.Logger.manager.loggerDict.get(logger.name) is logger:
        return NotImplemented
    return copyreg.__newobj__, (type(logger),), dict(vars(logger))  # type: ignore[attr-defined]


def _context_variable(capture: Capture, variable: contextvars.ContextVar[Any]) -> Any:
    """Return the name of a context variable, which a module or script keeps."""
    found = capture.in_script(variable)
    if found is not None:
        return found
    for name, module in sys.modules.copy().items():
        if is_module(module):
            variables = variables_of(module)
            path = next((key for key, value in list(variables.items()) if value is variable), None)
            if path is not None and is_importable(name):
                return capture.named(capture.rename(name), path)
            found = None if path is None else capture.in_globals(variables, variable)
            if found is not None:
                return found
    # Nothing tells the default, but what a new context has.
    default = contextvars.Context().run(_value_of, variable)
    value = _value_of(variable)
    same = len(default) == len(value) and all(d is v for d, v in zip(default, value, strict=True))
    return capture.helper("context_variable"), (variable.name, default, () if same else value)


def _library(capture: Capture, library: ctypes.CDLL) -> Any:
    """Return what loads a library of the system again.

    Raises:
        TypeError: if it is at a path of this machine.
    """
    name: str | None = library._name  # noqa: SLF001  it has no other
    if name is not None and os.path.dirname(name):
        raise TypeError(f"a library that ctypes loaded from {name}")
    return capture.named("ctypes", "CDLL"), (name,)


def _value_of(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    """Return the value of a context variable here, or nothing."""
    try:
        return (variable.get(),)
    except LookupError:
        return ()


_BY_CLASS: dict[type, Answer] = {
    # A lock that somebody holds says nothing about the object.
    type(threading.Lock()): lambda capture, lock: (capture.named("threading", "Lock"), ()),
    type(threading.RLock()): lambda capture, lock: (capture.named("threading", "RLock"), ()),
    contextvars.ContextVar: _context_variable,
    ctypes.CDLL: _library,
}
"""Class → what is written for its instances, but not for those of classes below it."""


def _stream(capture: Capture, obj: Any) -> Any:
    name = capture.streams.get(id(obj))
    return None if name is None else capture.named("sys", name)


def _of_process(capture: Capture, obj: Any) -> Any:
    answer = _answer_of_process(type(obj))
    return None if answer is None else answer(capture, obj)


ROWS = (
    Row(lambda obj: True, _stream),  # a shell or a test runner puts any object there
    Row(lambda obj: type(obj) in _BY_CLASS, lambda capture, obj: _BY_CLASS[type(obj)](capture, obj)),
    # What this thread has of it
    Row(
        lambda obj: isinstance(obj, threading.local),
        lambda capture, obj: (copyreg.__newobj__, (type(obj),), dict(vars(obj)) or None),  # type: ignore[attr-defined]
    ),
    Row(lambda obj: True, _of_process),
    Row(lambda obj: isinstance(obj, logging.Logger), _logger),
)
