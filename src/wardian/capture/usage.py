"""Which global names a piece of source uses, and when."""

from __future__ import annotations

import ast
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
    return Usage(frozenset(at_once - _only_in_comprehensions(source)), frozenset(later))


def _only_in_comprehensions(source: str) -> frozenset[str]:
    """Return the names that only comprehensions bind, and only they use.

    From Python 3.12 on the symbol table counts them among the names of the scope around (PEP 709).
    """
    if "for" not in source:
        return frozenset()
    bound: set[str] = set()
    used: set[str] = set()
    todo: list[tuple[ast.AST, frozenset[str]]] = [(ast.parse(source), frozenset())]
    while todo:
        node, around = todo.pop()
        if isinstance(node, ast.Name) and node.id not in around:
            used.add(node.id)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            first, *_ = node.generators
            todo.append((first.iter, around))  # is evaluated outside
            inner = {
                name.id for g in node.generators for name in ast.walk(g.target) if isinstance(name, ast.Name)
            }
            bound |= inner
            around |= inner
            todo += [(child, around) for child in ast.iter_child_nodes(node) if child is not first]
            todo += [(child, around) for child in (first.target, *first.ifs)]
            continue
        todo += [(child, around) for child in ast.iter_child_nodes(node)]
    return frozenset(bound - used)
