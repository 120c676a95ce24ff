"""The classes and functions that outlive a closed case, and the error that pickling them gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType

from wardian.environment.modules import variables_of

__all__ = ["ClosedModuleName", "how_to_load", "mark_closed", "open_again"]


def how_to_load(path: str, *, shared: bool) -> str:
    """Return the call that loads what *path* holds, with sharing or without it."""
    place = "..." if path == "<memory>" else repr(path)
    return f"wardian.load({place}{', share=True' if shared else ''})"


def open_again(call: str) -> str:
    """Return the words of every error about a case that was closed.

    Args:
        call: How it is loaded.
    """
    return f"of a case that was closed in this process; load it again: {call}"


class ClosedModuleName(str):
    """The `__module__` of a class or function, and the `__name__` of a module, whose case was closed.

    It is the same text, and has a note in its `repr`.

    Pickling such a class imports its module. `pickle` drops whatever that raises, and shows the repr of the
    name instead (CPython's Modules/_pickle.c, save_global); there is no other place for words.
    """

    __slots__ = ("call", "path")

    path: str
    call: str
    """How it is loaded again."""

    def __repr__(self) -> str:
        return f"{str(self)!r}, {open_again(self.call)},"

    def __reduce__(self) -> tuple[Callable[[str], str], tuple[str]]:
        return str, (str(self),)


def mark_closed(modules: Iterable[ModuleType], path: str, *, shared: bool) -> None:
    """Let the classes and functions that *modules* define say that their case was closed.

    Args:
        modules: All of the case.
        path: Its file.
        shared: Whether it was loaded with sharing.
    """
    call = how_to_load(path, shared=shared)
    for module in modules:
        # A package that waits would run when asked in the usual way.
        names = variables_of(module)
        own = str(names.get("__name__", ""))
        closed = ClosedModuleName(own)
        closed.path, closed.call = path, call
        names["__name__"] = closed  # of what its functions make from now on, too
        queue: list[object] = list(names.values())
        while queue:
            found = queue.pop()
            if isinstance(found, FunctionType):
                if found.__module__ == own:
                    found.__module__ = closed
            elif isinstance(found, type):
                inside = type.__getattribute__(found, "__dict__")
                if inside.get("__module__") == own and inside["__module__"] is not closed:
                    queue.extend(inside.values())
                    # A metaclass may refuse, or take notice.
                    type.__setattr__(found, "__module__", closed)
