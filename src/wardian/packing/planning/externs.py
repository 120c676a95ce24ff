"""The distributions that the receiver must have installed, and those it may lack."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from wardian.domain.decisions import Decision
from wardian.domain.graph import ImportContext
from wardian.domain.manifest import Extern
from wardian.domain.names import (
    LOGGING_LIBRARIES,
    ModuleName,
    top_level,
)
from wardian.domain.plan import Plan
from wardian.domain.policy import Action, Policy, Rule
from wardian.domain.trace import Trace
from wardian.errors import Problem
from wardian.packing.planning.logging_libraries import is_interned

__all__ = [
    "OF_NO_DISTRIBUTION",
    "asked_metadata",
    "extern_distributions",
    "find_externs",
    "find_unowned",
    "version_of",
    "with_hard",
    "with_missing",
]


def find_unowned(plan: Plan, externs: Iterable[Extern]) -> list[Problem]:
    """Return compiled modules that a case needs, and that nobody could install where it is loaded.

    Args:
        plan: The plan of the case.
        externs: Its externs, as far as it is known which are soft.
    """
    return [
        Problem(
            f"{module} is compiled and belongs to no installed distribution: a case can neither hold it nor"
            " tell what to install",
            f'install it from a wheel, or see to it yourself: Policy(extern=["{module}"])',
            module,
            plan.chain(module),
        )
        for extern in externs
        for module in extern.modules
        if extern.distribution is None and not extern.soft
        if (decision := plan.decision(module)) is not None and decision.reason == OF_NO_DISTRIBUTION
    ]


def extern_distributions(trace: Trace, policy: Policy) -> dict[str, str]:
    """Return the distributions that stay outside by themselves or all of which a rule leaves there.

    Returns:
        The reason for each.
    """
    reasons: dict[str, str] = {}
    loggers = {
        name
        for name, facts in trace.distributions.items()
        if any(
            not is_interned(ModuleName(root), policy) for root in LOGGING_LIBRARIES.intersection(facts.roots)
        )
    }
    for name, facts in trace.distributions.items():
        if facts.required_by_torch:
            if name == "torch":
                reasons[name] = "it is PyTorch"
            elif facts.with_every_torch:
                reasons[name] = "PyTorch requires it, so it is there wherever PyTorch is"
            else:
                reasons[name] = "PyTorch requires it on some platforms"
        elif name in loggers:
            reasons[name] = (
                "it logs, which no object needs to compute: where it is missing, nothing is logged"
            )
        elif facts.compiled:
            reasons[name] = f"{facts.compiled[0]} is compiled, and so tied to a platform"
    rules: dict[str, list[Rule | None]] = {}
    for module, found in trace.modules.items():
        if found.distribution is not None:
            rules.setdefault(found.distribution, []).append(policy.rule_for(module))
    left = {
        name: str(matching[0])
        for name, matching in rules.items()
        if name not in reasons and all(rule is not None and rule.action is Action.EXTERN for rule in matching)
    }
    reasons |= left
    wanted = {
        name
        for name, matching in rules.items()
        if any(rule is not None and rule.action is Action.INTERN for rule in matching)
    }
    # What an extern imports comes from the environment; packed code must see the same copy.
    owner = {name: facts.distribution for name, facts in trace.modules.items() if facts.distribution}
    edges = {
        (importer, imported)
        for edge in trace.evidence.imports
        if (importer := owner.get(ModuleName(edge.importer))) is not None
        and (imported := owner.get(ModuleName(edge.imported))) is not None
    }
    changed = True
    while changed:
        changed = False
        for importer, imported in sorted(edges):
            if importer in left and imported in wanted:  # one rule is as good as the other
                continue
            if importer in reasons and imported not in reasons and importer not in loggers:
                reasons[imported] = (
                    f"{importer}, which is outside, imports it, and a distribution has one origin"
                )
                changed = True
    return reasons


OF_NO_DISTRIBUTION = "compiled, and of no installed distribution"


def find_externs(
    trace: Trace, decisions: list[Decision], interned: set[ModuleName], declared: Container[str]
) -> tuple[tuple[Extern, ...], tuple[Extern, ...]]:
    """Return what packed code and the pickle take from the environment, and what only that imports."""
    outside = {d.module: d.distribution for d in decisions if d.action is Action.EXTERN}
    asked: set[ModuleName] = set()
    for edge in trace.graph:
        if edge.importer in interned or edge.context is ImportContext.PICKLED:
            asked.add(edge.imported)
    modules: dict[str | None, set[str]] = {"torch": {"torch"}}
    others: dict[str, set[str]] = {}
    for module, distribution in outside.items():
        if module in asked and module in trace.needed:
            modules.setdefault(distribution, set()).add(module)
        elif module in trace.needed and distribution is not None:
            others.setdefault(distribution, set()).add(module)
    names: dict[str | None, set[str]] = {}
    for importer in interned & trace.needed:
        facts = trace.facts.get(importer)
        for candidate in facts.candidates if facts is not None else ():
            module = ModuleName(candidate.imported.rpartition(".")[0])
            if candidate.context is ImportContext.UNCONDITIONAL and module in outside:
                distribution = outside[module]
                if distribution in modules:
                    names.setdefault(distribution, set()).add(candidate.imported)
    demanded = _demanded(trace, interned)
    # Without a call nothing shows that what a module imports first of all is not needed.
    imported = {
        edge.imported
        for edge in (() if trace.evidence.ran else trace.graph)
        if edge.importer in interned & trace.needed and edge.context is ImportContext.UNCONDITIONAL
        if not {top_level(edge.imported)} <= LOGGING_LIBRARIES
    }
    # What PyTorch, which comes from the environment, imports and does not require.
    for distribution in demanded & others.keys() - modules.keys():
        if not trace.distributions[distribution].required_by_torch:
            modules[distribution] = {top_level(module) for module in others[distribution]}
    externs = tuple(
        Extern(
            distribution=distribution,
            version=version_of(trace, distribution),
            modules=tuple(sorted(found)),
            names=tuple(sorted(names.get(distribution, ()))),
            soft=not any(module in declared or module in imported for module in found)
            and _may_be_soft(trace, distribution, found, demanded),
        )
        for distribution, found in sorted(modules.items(), key=lambda item: item[0] or "")
    )
    indirect = tuple(
        Extern(
            distribution=distribution,
            version=version_of(trace, distribution),
            modules=tuple(sorted({top_level(module) for module in found})),
            names=(),
            soft=False,
        )
        for distribution, found in sorted(others.items())
        if distribution not in modules
    )
    return externs, indirect


def asked_metadata(trace: Trace, externs: Iterable[Extern]) -> dict[str, dict[str, bytes]]:
    """Return the least metadata of distributions that code only asked for: it may want a version."""
    outside = {extern.distribution for extern in externs}
    found = {}
    for pair in trace.evidence.asked:
        name, _, version = pair.partition("==")
        if name not in outside:
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            found[name] = {"METADATA": text.encode()}
    return found


def _demanded(trace: Trace, interned: set[ModuleName]) -> frozenset[str]:
    """Return the distributions without which the run would have failed, as far as imports show it."""
    by_torch = {
        name
        for name, facts in trace.modules.items()
        if facts.distribution is not None and trace.distributions[facts.distribution].required_by_torch
    }
    tops = {
        demand.imported
        for demand in trace.evidence.demands
        if demand.importer in interned or demand.importer in by_torch or demand.importer == "torch"
    }
    return frozenset(
        name
        for name, facts in trace.distributions.items()
        if name in trace.evidence.checked or not tops.isdisjoint(facts.roots)
    )


def _may_be_soft(
    trace: Trace, distribution: str | None, modules: set[str], demanded: Container[str | None]
) -> bool:
    """Tell whether nothing shows that an extern is used; the proof tells for certain."""
    found = trace.distributions.get(distribution or "")
    if distribution == "torch" or (found is not None and found.with_every_torch):
        return False
    tops = {top_level(module) for module in modules}
    if tops <= LOGGING_LIBRARIES:
        return True
    if distribution is None:  # compiled modules of the user, which packed ones may do without
        contexts = {
            edge.context
            for facts in trace.facts.values()
            for edge in (*facts.imports, *facts.candidates)
            if edge.imported in modules
        }
        must_be_there = not contexts or ImportContext.UNCONDITIONAL in contexts
        named = any(ref.module in modules for ref in trace.globals)
        return trace.evidence.used is not None and not named and not must_be_there
    pickled = {top_level(ref.module) for ref in trace.globals}
    used = trace.evidence.used
    if used is None or not tops.isdisjoint(pickled):
        return False
    if distribution in demanded and (found is None or not found.required_by_torch):
        return False
    # Kernels are made of triton when a module is imported, if it is there: a use, but none that is needed.
    in_some_builds = found is not None and found.required_by_torch
    return in_some_builds or tops.isdisjoint(used)


def with_hard(externs: tuple[Extern, ...], used: Container[str] | None) -> tuple[Extern, ...]:
    """Return *externs*, of which none is soft that has a top-level name in *used*; None means all."""
    return tuple(
        replace(extern, soft=False)
        if (used is None or any(top_level(module) in used for module in extern.modules))
        and not {top_level(module) for module in extern.modules} <= LOGGING_LIBRARIES
        else extern
        for extern in externs
    )


def with_missing(plan: Plan, externs: tuple[Extern, ...], missing: Container[str]) -> tuple[Extern, ...]:
    """Return *externs* with what only they import, where the top-level name was missing without it.

    torch imports tensorboard in `torch.utils.tensorboard`, and does not require it.
    """
    known = {extern.distribution for extern in externs}
    found = [
        extern
        for extern in plan.indirect
        if extern.distribution not in known and any(module in missing for module in extern.modules)
    ]
    return tuple(sorted((*externs, *found), key=lambda extern: extern.distribution or ""))


def version_of(trace: Trace, distribution: str | None) -> str | None:
    """Return the version of a distribution here; None if it is not installed."""
    if distribution == "torch":
        return trace.torch
    found = trace.distributions.get(distribution or "")
    return None if found is None else found.version
