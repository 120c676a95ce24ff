"""Which names compiled code mentions, without a look at its source."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType

__all__ = ["mentions", "parts_of"]


def parts_of(code: CodeType) -> Iterator[CodeType]:
    """Yield *code* and all code within it: functions, classes, comprehensions."""
    waiting = [code]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [constant for constant in part.co_consts if isinstance(constant, CodeType)]


def mentions(code: CodeType, names: frozenset[str]) -> bool:
    """Tell whether *code*, or code within it, mentions one of these names.

    >>> mentions(compile("def f(): return g()", "app.py", "exec"), frozenset({"g"}))
    True
    """
    return any(not names.isdisjoint(part.co_names) for part in parts_of(code))
