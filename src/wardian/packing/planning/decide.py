"""Stage 2: from facts to decisions, one for each module, each with its reason.

Pure: the same trace and policy give the same plan, and nothing is read or written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from wardian.domain.decisions import Decision
from wardian.domain.graph import Import, ImportContext
from wardian.domain.modules import ModuleFacts, ModuleKind, is_always_there
from wardian.domain.names import (
    ModuleName,
    top_level,
)
from wardian.domain.plan import Plan
from wardian.domain.policy import Action, Policy, Rule
from wardian.domain.trace import Trace
from wardian.errors import PlanError, Problem
from wardian.packing.planning.externs import (
    HOMELESS,
    extern_distributions,
    find_homeless,
)
from wardian.packing.planning.files import SMALL_DISTRIBUTION, assemble_plan
from wardian.packing.planning.logging_libraries import without_logging

__all__ = ["make_plan"]


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
    externs = extern_distributions(trace, policy)
    decisions: list[Decision] = []
    problems: list[Problem] = []
    left_out: list[str] = []
    by_need = policy.base == "hermetic" and trace.reached is not None and not whole
    in_part = frozenset(
        name
        for name, found in trace.distributions.items()
        if by_need and sum(size for _, _, size in found.files) > SMALL_DISTRIBUTION
    )

    def refuse(module: ModuleName, what: str, fix: str) -> None:
        problems.append(Problem(what, fix, module, trace.graph.explain(ModuleName(trace.entry), module)))

    declared: set[ModuleName] = set()
    for name, facts in trace.modules.items():
        rule = policy.rule_for(name)
        action, reason = _default(facts, externs, policy)
        if action is Action.INTERN and facts.distribution in in_part:
            how = (
                "can be reached by code that runs" if name not in trace.needed else "was imported in the run"
            )
            reason = f"it {how}"
        if rule is None and name in trace.mocks:
            action, reason = Action.MOCK, _MOCKED_BEFORE
        if rule is not None:
            if (
                rule.action is Action.INTERN
                and action is Action.EXTERN
                and facts.kind is not ModuleKind.SOURCE
            ):
                reason = f"{reason}; {rule} cannot pack it"
            elif rule.action is Action.INTERN and facts.distribution in externs:
                reason = f"{reason}; {rule} cannot pack part of it"
            else:
                action, reason = rule.action, str(rule)
                declared.update({name} if action is Action.EXTERN else ())
        if action is Action.DENY:
            importer = _importer_of(trace, name)
            if name in trace.needed:
                refuse(
                    name, f"{name} is denied by {reason} and the object needs it", f'Policy(mock=["{name}"])'
                )
            elif importer is not None:
                left_out.append(
                    f"{name} is denied by {reason}; {importer.importer}, which is packed, imports it in a"
                    f" function, line {importer.line}, which will fail"
                )
            continue
        if action is Action.INTERN and facts.kind is ModuleKind.BYTECODE:
            reason += ", without source: the case loads in this Python only"
        decisions.append(Decision(name, action, reason, facts.distribution))
    decisions += [
        Decision(name, Action.MOCK, _MOCKED_BEFORE, None)
        for name in trace.mocks
        if name not in trace.modules and policy.rule_for(name) is None
    ]
    known = {d.module for d in decisions}
    mocked = {d.module: d.reason for d in decisions if d.action is Action.MOCK}
    for ref in trace.globals:
        if ref.module in mocked and ref.qualname:
            what = f"{ref} is mocked ({mocked[ref.module]}), and the object holds it or instances of it"
            refuse(
                ref.module, what, f'take what is of it out of the object, or Policy(intern=["{ref.module}"])'
            )
        if ref.module == "__main__":
            refuse(
                ref.module,
                f"{ref} is defined in the script that runs, which must not run again when the case is loaded",
                f"move {ref.qualname} to a module and import it from there",
            )
        elif ref.module not in known and ref.module not in trace.modules and not is_always_there(ref.module):
            what = f"{ref.module}, which defines {ref.qualname}," if ref.qualname else f"module {ref.module}"
            found = "in a module that can be imported: a file in a folder of sys.path"
            refuse(ref.module, f"{what} cannot be found", f"define {ref.qualname or 'it'} {found}")
    unmatched = []
    for rule in policy.rules:
        if not any(map(rule.patterns.matches, trace.modules)):
            unmatched.append(f"{rule}{_near(rule, trace.modules)}")
            if not rule.allow_empty:
                what = f"the rule {unmatched[-1]} must match a module that the object reaches, and does not"
                problems.append(Problem(what, "correct the pattern, or leave out allow_empty=False"))
    plan = replace(
        assemble_plan(trace, decisions, declared, in_part),
        unmatched=tuple(unmatched),
        denied=tuple(sorted(left_out)),
    )
    problems += find_homeless(plan, plan.externs)
    if problems:
        raise PlanError(f"{trace.entry} cannot be packed", problems=problems)
    return plan


_MOCKED_BEFORE = "mocked in the case that the object was loaded from"


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
        return Action.EXTERN, HOMELESS
    if facts.distribution is None:
        own = "first-party code" if facts.file is not None or facts.kind is not ModuleKind.SOURCE else ""
        return (
            Action.INTERN,
            own or "what the object needs of a script, a notebook or a function, which no import can find",
        )
    if policy.base == "thin":
        return Action.EXTERN, "thin policy: third-party distributions stay outside"
    return Action.INTERN, f"part of {facts.distribution}, which is packed whole"
