"""Stage 2: from facts to decisions, one for each module, each with its reason.

Pure: the same trace and policy give the same plan, and nothing is read or written.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from wardian.domain.decisions import Decision
from wardian.domain.graph import Import, ImportContext
from wardian.domain.modules import ModuleFacts, ModuleKind, is_always_there
from wardian.domain.names import (
    ModuleName,
    ancestors,
    top_level,
)
from wardian.domain.plan import Plan
from wardian.domain.policy import Action, Policy, Rule
from wardian.domain.trace import Trace
from wardian.errors import PlanError, Problem
from wardian.packing.planning.externs import (
    OF_NO_DISTRIBUTION,
    extern_distributions,
    find_unowned,
)
from wardian.packing.planning.files import SMALL_DISTRIBUTION, assemble_plan
from wardian.packing.planning.logging_libraries import without_logging

__all__ = ["make_plan"]

_MOST_PLACES = 10
"""Places of one problem that are told."""


def make_plan(trace: Trace, policy: Policy, *, whole: bool = False) -> Plan:
    """Decide, for every module in *trace*, how the case will provide it.

    Args:
        trace: What the object needs.
        policy: The user's rules; they win over the default.
        whole: Whether to take distributions whole, whatever code can reach.

    Returns:
        A plan with one decision per module, sorted by name. Equal inputs give equal plans.

    Raises:
        PlanError: if a module that is needed is denied or cannot be packed. `problems` lists all of them,
            each with the chain of imports that leads there and a rule that settles it.
    """
    trace = without_logging(trace, policy)
    by_need = policy.base == "hermetic" and trace.reached is not None and not whole
    in_part = frozenset(
        name
        for name, found in trace.distributions.items()
        if by_need and sum(size for _, _, size in found.files) > SMALL_DISTRIBUTION
    )
    externs = extern_distributions(trace, policy)
    found = [_decide(facts, trace, policy, externs, in_part) for facts in trace.modules.values()]
    denied = [decision for decision in found if decision.action is Action.DENY]
    decisions = [decision for decision in found if decision.action is not Action.DENY]
    decisions += [
        Decision(name, Action.MOCK, _MOCKED_BEFORE, None)
        for name in trace.mocks
        if name not in trace.modules and policy.rule_for(name) is None
    ]
    declared = {
        decision.module
        for decision in decisions
        if decision.action is Action.EXTERN
        if (rule := policy.rule_for(decision.module)) is not None and rule.action is Action.EXTERN
    }
    unmatched = [
        (rule, f"{rule}{_near(rule, trace.modules)}")
        for rule in policy.rules
        if not any(map(rule.patterns.matches, trace.modules))
    ]
    plan = replace(
        assemble_plan(trace, decisions, declared, in_part),
        unmatched=tuple(shown for _, shown in unmatched),
        unkept=tuple(_unkept(trace, policy, decisions, externs)),
        denied=tuple(sorted(_failing_imports(trace, denied))),
    )
    problems = [
        *_problems_of_denied(trace, denied),
        *_problems_of_globals(trace, decisions),
        *_problems_of_rules(unmatched),
        *find_unowned(plan, plan.externs),
    ]
    if problems:
        raise PlanError(f"{trace.entry} cannot be packed", problems=problems)
    return plan


_MOCKED_BEFORE = "mocked in the case that the object was loaded from"


def _decide(
    facts: ModuleFacts, trace: Trace, policy: Policy, externs: Mapping[str, str], in_part: Container[str]
) -> Decision:
    """Return what becomes of a module: a rule wins over the default where it can be kept.

    Args:
        facts: The module.
        trace: What the object needs.
        policy: The user's rules.
        externs: Distributions that stay outside by themselves, with the reason.
        in_part: Distributions of which only modules that can be reached are packed.
    """
    name, rule = facts.name, policy.rule_for(facts.name)
    action, reason = _default(facts, externs, policy)
    if action is Action.INTERN and facts.distribution in in_part:
        how = "was imported in the run" if name in trace.needed else "can be reached by code that runs"
        reason = f"it {how}"
    if rule is None and name in trace.mocks:
        action, reason = Action.MOCK, _MOCKED_BEFORE
    if rule is not None:
        asks_for_code = rule.action is Action.INTERN
        if asks_for_code and action is Action.EXTERN and facts.kind is not ModuleKind.SOURCE:
            reason = f"{reason}; {rule} cannot pack it"
        elif asks_for_code and facts.distribution in externs:
            reason = f"{reason}; {rule} cannot pack part of it"
        else:
            action, reason = rule.action, str(rule)
    if action is Action.INTERN and facts.kind is ModuleKind.BYTECODE:
        reason += ", without source: the case loads in this Python only"
    return Decision(name, action, reason, facts.distribution)


def _problem(trace: Trace, module: ModuleName, what: str, fix: str, qualname: str | None = None) -> Problem:
    """Return the problem with what leads to it: the places of what the object holds, or imports.

    Args:
        trace: What the object needs.
        module: The module.
        what: The problem.
        fix: What settles it.
        qualname: The one name of the module that it is about; None if it is about the whole module.
    """
    held = [
        str(edge)
        for edge in _held(trace)
        if edge.imported == module and (qualname is None or edge.qualname == qualname)
    ]
    if len(held) > _MOST_PLACES:
        held[_MOST_PLACES:] = [f"and {len(held) - _MOST_PLACES} more"]
    # One step, for they do not lead to each other.
    chain = ("; ".join(held),) if held else trace.graph.explain(ModuleName(trace.entry), module)
    return Problem(what, fix, module, chain)


def _held(trace: Trace) -> list[Import]:
    """Return what the object holds, and where."""
    edges = trace.graph.find_imports_by(ModuleName(trace.entry))
    return [edge for edge in edges if edge.context is ImportContext.PICKLED]


def _problems_of_denied(trace: Trace, denied: Iterable[Decision]) -> Iterator[Problem]:
    for decision in denied:
        module = decision.module
        if module in trace.needed:
            what = f"{module} is denied by {decision.reason} and the object needs it"
            yield _problem(trace, module, what, _allowing(trace, module))


def _allowing(trace: Trace, module: ModuleName) -> str:
    """Return what to do about a rule that denies a module which the object needs."""
    allowed = f"let that rule not match {module}"
    held = {edge.imported for edge in _held(trace) if edge.qualname}
    if _is_its_own(trace, module) or any(module in ancestors(below) for below in held):
        return allowed
    # Of a mocked module the object may hold nothing, either.
    if module in held:
        return f"take what is of it out of the object, or {allowed}"
    return f'{allowed}; or, if it is imported and not used, in place of that rule: Policy(mock=["{module}"])'


def _is_its_own(trace: Trace, module: ModuleName) -> bool:
    """Tell whether a packed object is itself of a module, so that it cannot be taken out."""
    named = (edge for edge in _held(trace) if edge.imported == module and edge.qualname)
    return module == trace.type.module or any(edge.file.isidentifier() for edge in named)


def _failing_imports(trace: Trace, denied: Iterable[Decision]) -> Iterator[str]:
    """Yield which imports of denied modules that the object does not need will fail."""
    for decision in denied:
        module = decision.module
        edge = None if module in trace.needed else _importer_of(trace, module)
        if edge is not None:
            yield (
                f"{module} is denied by {decision.reason}; {edge.importer}, which is packed, imports it in a"
                f" function, line {edge.line}, which will fail"
            )


def _problems_of_globals(trace: Trace, decisions: Iterable[Decision]) -> Iterator[Problem]:
    """Yield what the object holds of modules that are mocked or not found, and of the script."""
    reasons = {decision.module: decision.reason for decision in decisions}
    mocked = {decision.module for decision in decisions if decision.action is Action.MOCK}
    for ref in trace.globals:
        module, qualname = ref.module, ref.qualname
        if module in mocked and qualname:
            what = f"{ref} is mocked ({reasons[module]}), and the object holds it or instances of it"
            fix = f'Policy(intern=["{module}"])'
            if not _is_its_own(trace, module):
                fix = f"take what is of it out of the object, or {fix}"
            yield _problem(trace, module, what, fix, qualname)
        if module == "__main__":
            what = (
                f"{ref} is defined in the script that runs, which must not run again when the case is loaded"
            )
            fix = f"move {qualname} to a module and import it from there"
            yield _problem(trace, module, what, fix, qualname)
        elif module not in reasons and module not in trace.modules and not is_always_there(module):
            what = f"{module}, which defines {qualname}," if qualname else f"module {module}"
            where = "in a module that can be imported: a file in a folder of sys.path"
            fix = f"define {qualname or 'it'} {where}"
            yield _problem(trace, module, f"{what} cannot be found", fix, qualname)


def _problems_of_rules(unmatched: Iterable[tuple[Rule, str]]) -> Iterator[Problem]:
    for rule, shown in unmatched:
        if not rule.allow_empty:
            what = f"the rule {shown} must match a module that the object reaches, and does not"
            yield Problem(what, "correct the pattern, or leave out allow_empty=False")


def _unkept(
    trace: Trace, policy: Policy, decisions: Iterable[Decision], externs: Mapping[str, str]
) -> Iterator[str]:
    """Yield the rules that would pack modules and pack none, each with why the first stays outside."""
    for rule in policy.rules:
        if rule.action is not Action.INTERN:
            continue
        matched = [decision for decision in decisions if policy.rule_for(decision.module) == rule]
        if matched and all(decision.action is Action.EXTERN for decision in matched):
            first = matched[0]
            _, reason = _default(trace.modules[first.module], externs, policy)
            yield f"{rule}: {first.distribution or first.module} stays outside, {reason}"


def _importer_of(trace: Trace, denied: ModuleName) -> Import | None:
    """Return an import in a function of a module that is needed; those in a `try` may do without."""
    for importer in sorted(trace.needed):
        for edge in trace.graph.find_imports_by(importer):
            if edge.imported == denied and edge.context is ImportContext.FUNCTION:
                return edge
    return None


def _near(rule: Rule, modules: Iterable[ModuleName]) -> str:
    """Return a hint at the names that a pattern is nearly one of."""
    tops = sorted({*modules, *map(top_level, modules)})
    plain = [pattern.removesuffix(".**").removesuffix(".*") for pattern in rule.patterns.include]
    near = [name for pattern in plain for name in difflib.get_close_matches(pattern, tops, 2)]
    return f" (near to it: {', '.join(near)})" if near else ""


def _default(facts: ModuleFacts, externs: Mapping[str, str], policy: Policy) -> tuple[Action, str]:
    if facts.distribution is not None and facts.distribution in externs:
        return Action.EXTERN, externs[facts.distribution]
    if facts.kind is ModuleKind.EXTENSION:
        return Action.EXTERN, OF_NO_DISTRIBUTION
    if facts.distribution is None:
        own = "first-party code" if facts.file is not None or facts.kind is not ModuleKind.SOURCE else ""
        return (
            Action.INTERN,
            own or "what the object needs of a script, a notebook or a function, which no import can find",
        )
    if policy.base == "thin":
        return Action.EXTERN, "thin policy: third-party distributions stay outside"
    return Action.INTERN, f"part of {facts.distribution}, which is packed whole"
