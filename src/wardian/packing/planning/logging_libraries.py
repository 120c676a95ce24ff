"""Modules that only logging libraries need stay outside with them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from wardian.domain.names import (
    LOGGING_LIBRARIES,
    ModuleName,
    ancestors,
    top_level,
)
from wardian.domain.policy import Action, Policy
from wardian.domain.trace import Trace

__all__ = ["is_interned", "without_logging"]


def without_logging(trace: Trace, policy: Policy) -> Trace:
    """Return the trace without the modules that only logging libraries import."""
    logging = {
        name
        for name, facts in trace.modules.items()
        if top_level(name) in LOGGING_LIBRARIES
        and facts.distribution is not None
        and not is_interned(name, policy)
    }
    if not logging:
        return trace
    kept = _reached(trace, [ModuleName(trace.entry)], logging)
    dropped = _reached(trace, logging, set()) - kept - logging
    # Compiled modules import each other where nobody sees it.
    tops = {top_level(name) for name in dropped} - {top_level(name) for name in kept}
    dropped |= {name for name in trace.modules if top_level(name) in tops}
    # What no import shows stays, as does what it imports.
    others = trace.needed - dropped - logging
    dropped -= _reached(trace, others, logging)
    return replace(
        trace,
        modules={name: facts for name, facts in trace.modules.items() if name not in dropped},
        needed=trace.needed - dropped,
        evidence=replace(trace.evidence, absent=tuple(n for n in trace.evidence.absent if n not in dropped)),
    )


def is_interned(name: ModuleName, policy: Policy) -> bool:
    """Tell whether a rule of the user's packs a module."""
    rule = policy.rule_for(name)
    return rule is not None and rule.action is Action.INTERN


def _reached(trace: Trace, begin: Iterable[ModuleName], past: Container[ModuleName]) -> set[ModuleName]:
    """Return the modules that imports lead to, packages above them included, but not past some."""
    found: set[ModuleName] = set()
    queue = list(begin)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += ancestors(name)
            if name not in past:
                queue += [edge.imported for edge in trace.graph.find_imports_by(name)]
    return found
