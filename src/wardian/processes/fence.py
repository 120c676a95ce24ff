"""The fence of a clean process: code of the object starts no program there, and reaches no other machine.

What is packed runs before anybody asked for it: once to be seen, and once for each proof, where libraries
that are there are hidden. A handler of `except ImportError` may then run an installer, in the user's Python.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any

from wardian.domain.names import top_level

__all__ = ["ALLOWABLE", "RefusedError", "kind_of", "put_up", "refusals"]

ALLOWABLE = ("network", "processes")
"""Permissions that a user may give the code of an object in clean processes."""


class RefusedError(PermissionError, FileNotFoundError):
    """A program was not started, or a connection not made.

    Code that copes with a program, or a network, that is not there copes with this.
    """


_refused: list[str] = []
_watched: dict[str, Callable[[tuple[Any, ...]], str | None]] = {}
"""For each event, a function that describes an act that is refused; it returns None for one that is not."""


def refusals() -> tuple[str, ...]:
    """Return what was refused in this process, each as the end of "the code wanted to ...", once."""
    return tuple(dict.fromkeys(_refused))


def kind_of(what: str) -> str:
    """Return the member of `ALLOWABLE` by which a refusal would have been allowed."""
    return "network" if what.startswith("reach ") else "processes"


def put_up(allow: Collection[str]) -> None:
    """Refuse, from now on and for as long as this process lives, what is not allowed.

    Once it stands, it stays; another call says what is allowed from then on.

    Args:
        allow: Members of `ALLOWABLE`.
    """
    if not _watched:
        sys.addaudithook(_look)
    watched = _REACHING if "network" not in allow else {}
    if "processes" not in allow:
        watched = watched | dict.fromkeys(_STARTING, _program_of)
    _watched.clear()
    _watched.update(watched)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    find = _watched.get(event)
    if find is not None and (what := find(arguments)) is not None:
        _refused.append(what)
        raise RefusedError(errno.EACCES, f"a clean process must not {what}")


# https://docs.python.org/3/library/audit_events.html has the events and their arguments.
_STARTING = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "pty.spawn",
)

_ASKING_THE_SYSTEM = frozenset({"ctypes.util", "platform", "uuid", "sysconfig"})
"""Modules of the standard library that ask programs for facts about the machine, and change nothing."""


def _program_of(arguments: tuple[Any, ...]) -> str | None:
    # Without a caller a thread was told what to call: by whom is not seen.
    caller = next(_callers(sys._getframe(2)), None)  # noqa: SLF001
    asks = caller is not None and caller.f_globals.get("__name__") in _ASKING_THE_SYSTEM
    if caller is not None and (asks or _is_compiler(caller)):
        return None
    # `os.spawn` and `pty.spawn` tell a mode or a list first.
    words = next(
        (a for a in reversed(arguments[:2]) if isinstance(a, list | tuple | str | bytes)), arguments[0]
    )
    shown = " ".join(map(_text, words)) if isinstance(words, list | tuple) else _text(words)
    return f"start a process: {shown:.200}"


def _text(word: Any) -> str:
    return os.fsdecode(word) if isinstance(word, str | bytes | os.PathLike) else str(word)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of code that is not of the standard library, the innermost first.

    Modules that ask the system are yielded, too.
    """
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if top_level(name) not in sys.stdlib_module_names or name in _ASKING_THE_SYSTEM:
            yield frame
        frame = frame.f_back


_COMPILERS = ("torch", "triton")
"""Libraries that start compilers for the code that they make."""


def _is_compiler(frame: FrameType) -> bool:
    top = top_level(str(frame.f_globals.get("__name__", "")))
    library = sys.modules.get(top) if top in _COMPILERS else None
    file = getattr(library, "__file__", None)
    # A module may call itself what it likes; the file tells where its code is from.
    return file is not None and frame.f_code.co_filename.startswith(os.path.join(os.path.dirname(file), ""))


def _host_of(host: Any) -> str | None:
    text = _text(host) if host is not None else ""
    return None if not text or _is_here(text) else f"reach {text}"


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine, and not a name that begins like one of its own."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _address_of(arguments: tuple[Any, ...]) -> str | None:
    _, address = arguments[:2]
    family = getattr(arguments[0], "family", None)
    if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return None
    return _host_of(address[0])


_REACHING: dict[str, Callable[[tuple[Any, ...]], str | None]] = {
    "socket.connect": _address_of,
    "socket.sendto": _address_of,
    "socket.sendmsg": _address_of,
    "socket.getaddrinfo": lambda arguments: _host_of(arguments[0]),
    "socket.gethostbyname": lambda arguments: _host_of(arguments[0]),
    "socket.gethostbyaddr": lambda arguments: _host_of(arguments[0]),
}
