"""Packages that wait for their first use."""

from __future__ import annotations

from wardian.domain.graph import ImportContext
from wardian.domain.modules import ModuleKind
from wardian.domain.names import (
    ModuleName,
    top_level,
)
from wardian.domain.trace import Trace

__all__ = ["deferrable"]


def deferrable(trace: Trace, needed: set[ModuleName]) -> tuple[ModuleName, ...]:
    """Return the packages whose `__init__` nothing asks for when the object is loaded and used.

    Followed are the imports that name a module, from the modules that the pickle names. What is reached in
    the run but not so was imported by the `__init__` of a package that is only the parent of another module.
    A library whose code uses operators that torch does not bring runs whole: its `__init__` may register
    how they are differentiated or traced, and no output shows that. First-party packages run whole, too:
    tables that an `__init__` fills are their habit, and no output shows what nobody looked up.
    """
    asked: set[ModuleName] = set()
    queue = [ref.module for ref in trace.globals]
    while queue:
        name = queue.pop()
        if name in asked or name not in needed:
            continue
        asked.add(name)
        facts = trace.facts.get(name)
        if facts is not None:
            queue += [edge.imported for edge in (*facts.imports, *facts.candidates)]
        queue += [
            e.imported for e in trace.graph.find_imports_by(name) if e.context is ImportContext.OBSERVED
        ]
    with_operators = {
        top_level(name) for name in asked if (facts := trace.facts.get(name)) is not None and facts.operators
    }
    return tuple(
        sorted(
            name
            for name in needed - asked
            if trace.modules[name].is_package
            and trace.modules[name].kind is ModuleKind.SOURCE
            and trace.modules[name].distribution is not None
            and top_level(name) not in with_operators
        )
    )
