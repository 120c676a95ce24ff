"""Keyword arguments that a function does not have: which one was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from wardian.wording import near_to

__all__ = ["knowing_keywords", "unknown_keyword"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def unknown_keyword(function: str, name: str, known: Iterable[str]) -> TypeError:
    """Return the error about a keyword argument that a function does not have.

    Args:
        function: What the user calls it.
        name: The argument.
        known: Those that the function has.

    >>> print(unknown_keyword("wardian.pack", "inptus", ["inputs", "policy"]))
    wardian.pack has no argument inptus; near to it: inputs
    """
    names = sorted(known)
    near = near_to(name, names)
    hint = f"near to it: {', '.join(near)}" if near else f"it has {', '.join(names)}"
    return TypeError(f"{function} has no argument {name}; {hint}")


def knowing_keywords(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function tell which keyword argument may have been meant by one that it does not have.

    Its signature stays, and what else is wrong with a call is Python's to tell.

    >>> knowing_keywords(print)
    Traceback (most recent call last):
    TypeError: knowing_keywords takes a function with keyword-only arguments
    """
    defaults = getattr(function, "__kwdefaults__", None)
    code = getattr(function, "__code__", None)
    if code is None or defaults is None:
        raise TypeError("knowing_keywords takes a function with keyword-only arguments")
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    called = f"wardian.{function.__name__}"

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for name in kwargs:
            if name not in known:
                raise unknown_keyword(called, name, known)
        return function(*args, **kwargs)

    return call
