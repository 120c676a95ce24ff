"""Which global names a piece of source uses, and when."""

from __future__ import annotations

import symtable
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Usage", "find_usage"]

_COMPREHENSIONS = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})


@dataclass(frozen=True, slots=True)
class Usage:
    """Global names that a statement uses.

    Attributes:
        at_once: When it is executed: decorators, bases, default arguments, bodies of classes.
        later: When what it defines is called.
    """

    at_once: frozenset[str]
    later: frozenset[str]


@lru_cache(maxsize=1024)
def find_usage(source: str) -> Usage:
    r"""Find the global names that *source*, the text of a module, uses.

    Python's own symbol table tells, so that a local variable is not taken for a global of its name.

    >>> find_usage("def area(r, f=scale):\n    pi2 = 2 * PI\n    return f(pi2 * r)\n")
    Usage(at_once=frozenset({'scale'}), later=frozenset({'PI'}))
    """
    at_once: set[str] = set()
    later: set[str] = set()
    table = symtable.symtable(source, "<captured>", "exec")
    todo = [(table, at_once)]
    while todo:
        scope, names = todo.pop()
        kind = str(scope.get_type())
        for symbol in scope.get_symbols():
            if symbol.is_referenced() if kind == "module" else symbol.is_global():
                names.add(symbol.get_name())
            elif kind == "class" and symbol.is_referenced() and not symbol.is_free():
                # A class body looks among the globals for what it has not set yet: `size = size`.
                names.add(symbol.get_name())
        for child in scope.get_children():
            runs_later = child.get_type() == "function" and child.get_name() not in _COMPREHENSIONS
            lazy = runs_later or "annotation" in str(child.get_type()).lower()
            todo.append((child, later if lazy else names))
    return Usage(frozenset(at_once), frozenset(later))
