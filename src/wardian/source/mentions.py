"""Which names compiled code mentions, without a look at its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

__all__ = ["Mentioned", "mentioned_by", "mentions", "parts_of"]


@dataclass(frozen=True, slots=True)
class Mentioned:
    """Everything that the code of a module mentions: looked through once, for the many who ask."""

    names: frozenset[str]
    """Names of globals, attributes and imported modules, as `co_names` has them."""
    texts: frozenset[str]
    """Constants that are texts."""

    def any_of(self, names: frozenset[str]) -> bool:
        """Tell whether one of these names is mentioned."""
        return not names.isdisjoint(self.names)


def mentioned_by(code: CodeType) -> Mentioned:
    """Return what *code*, and all code within it, mentions.

    >>> mentioned_by(compile("def f(): return g('leaf')", "app.py", "exec"))
    Mentioned(names=frozenset({'g'}), texts=frozenset({'f', 'leaf'}))
    """
    names: set[str] = set()
    texts: set[str] = set()
    for part in parts_of(code):
        names.update(part.co_names)
        texts.update(constant for constant in part.co_consts if type(constant) is str)
    return Mentioned(frozenset(names), frozenset(texts))


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
