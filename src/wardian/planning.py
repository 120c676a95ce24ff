"""Stage 2: from facts to decisions, one for each module, each with its reason.

Pure: the same trace and policy give the same plan, and nothing is read or written.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from wardian.decisions import FIRST_PARTY, Decision, PackedFile, Plan
from wardian.environment import LEFT_OUT, ModuleFacts, ModuleKind, is_always_there
from wardian.errors import PlanError, Problem
from wardian.facts import DistributionFacts, Trace
from wardian.graph import Import, ImportContext
from wardian.manifest import Extern, PackedDistribution
from wardian.names import (
    LOGGING_LIBRARIES,
    ModuleName,
    RecordName,
    ancestors,
    module_of,
    record_name,
    top_level,
)
from wardian.policy import Action, Policy, Rule

__all__ = ["find_homeless", "make_plan", "with_hard", "with_missing"]


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
    trace = _without_logging(trace, policy)
    externs = _extern_distributions(trace, policy)
    decisions: list[Decision] = []
    problems: list[Problem] = []
    left_out: list[str] = []
    by_need = policy.base == "hermetic" and trace.reached is not None and not whole
    in_part = frozenset(
        name
        for name, found in trace.distributions.items()
        if by_need and sum(size for _, _, size in found.files) > _SMALL
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
        _assemble(trace, decisions, declared, in_part),
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


def find_homeless(plan: Plan, externs: Iterable[Extern]) -> list[Problem]:
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
        if (decision := plan.decision(module)) is not None and decision.reason == _HOMELESS
    ]


def _without_logging(trace: Trace, policy: Policy) -> Trace:
    """Return the trace without the modules that only logging libraries import."""
    logging = {
        name
        for name, facts in trace.modules.items()
        if top_level(name) in LOGGING_LIBRARIES
        and facts.distribution is not None
        and not _is_interned(name, policy)
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


def _is_interned(name: ModuleName, policy: Policy) -> bool:
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


def _extern_distributions(trace: Trace, policy: Policy) -> dict[str, str]:
    """Return the distributions that stay outside by themselves, with the reason."""
    reasons: dict[str, str] = {}
    loggers = {
        name
        for name, facts in trace.distributions.items()
        if any(
            not _is_interned(ModuleName(root), policy) for root in LOGGING_LIBRARIES.intersection(facts.roots)
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
            if importer in reasons and imported not in reasons and importer not in loggers:
                reasons[imported] = (
                    f"{importer}, which is outside, imports it, and a distribution has one origin"
                )
                changed = True
    return reasons


_HOMELESS = "compiled, and of no installed distribution"


def _default(facts: ModuleFacts, externs: Mapping[str, str], policy: Policy) -> tuple[Action, str]:
    if facts.distribution is not None and facts.distribution in externs:
        return Action.EXTERN, externs[facts.distribution]
    if facts.kind is ModuleKind.EXTENSION:
        return Action.EXTERN, _HOMELESS
    if facts.distribution is None:
        own = "first-party code" if facts.file is not None or facts.kind is not ModuleKind.SOURCE else ""
        return (
            Action.INTERN,
            own or "what the object needs of code that no import leads to: a script, a notebook, a function",
        )
    if policy.base == "thin":
        return Action.EXTERN, "thin policy: third-party distributions stay outside"
    return Action.INTERN, f"part of {facts.distribution}, which is packed whole"


_SMALL = 512 << 10
"""Bytes of files up to which a distribution is packed whole: there is little to gain by leaving some out."""


def _assemble(
    trace: Trace, decisions: list[Decision], declared: Container[str], in_part: Container[str]
) -> Plan:
    action = {d.module: d.action for d in decisions}
    interned = {d.module for d in decisions if d.action is Action.INTERN}
    needed = interned & trace.needed
    files: dict[RecordName, PackedFile] = {}
    packed: dict[str, set[str]] = {}
    for name in sorted(needed):
        facts = trace.modules[name]
        if facts.distribution is not None:
            packed.setdefault(facts.distribution, set())
    left_out: list[str] = []
    unneeded: dict[str, set[ModuleName]] = {}
    for distribution, found in trace.distributions.items():
        if distribution not in packed:
            continue
        left_out += found.left_out
        unneeded[distribution] = _listed(found)
        for record, path, size in found.files:
            module = module_of(record)
            if module is not None and action.get(module, Action.INTERN) is not Action.INTERN:
                continue
            if distribution in in_part and module is not None and module not in action:
                unneeded[distribution].add(module)
                continue
            if distribution in in_part and module is None and record not in trace.data:
                continue
            files[record_name(record)] = PackedFile(record_name(record), path, size, module, distribution)
            packed[distribution].add(record.partition("/")[0].removesuffix(".py"))
    first_party_roots: set[str] = set()
    for name in sorted(interned):
        facts = trace.modules[name]
        if facts.distribution is None and facts.kind is ModuleKind.SOURCE and facts.file is not None:
            record = record_name(name.replace(".", "/") + ("/__init__.py" if facts.is_package else ".py"))
            files[record] = PackedFile(record, facts.file, os.stat(facts.file).st_size, name, None)
        if name in trace.captured:
            record = record_name(name.replace(".", "/") + ("/__init__.py" if facts.is_package else ".py"))
            content = trace.captured[name].encode()
            files[record] = PackedFile(record, "", len(content), name, None, content)
        if facts.kind is ModuleKind.BYTECODE and facts.file is not None:
            record = record_name(_bytecode_record(name, sys.implementation.cache_tag or "", facts.is_package))
            size = os.stat(facts.file).st_size
            files[record] = PackedFile(record, facts.file, size, name, facts.distribution)
            if facts.distribution is not None:
                packed[facts.distribution].add(top_level(name))
        if facts.distribution is None:
            first_party_roots.add(top_level(name))
    for top, owners in trace.sharing:
        if any(top in roots for roots in packed.values()):
            for owner in owners:
                (first_party_roots if owner is None else packed.setdefault(owner, set())).add(top)
    outside = {top_level(name) for name, facts in trace.modules.items() if facts.distribution is None}
    outside -= first_party_roots
    for record, path, size in trace.first_party_files:
        if record.partition("/")[0] not in outside:
            files.setdefault(record_name(record), PackedFile(record_name(record), path, size, None, None))
    distributions = [
        PackedDistribution(name=name, version=trace.distributions[name].version, roots=tuple(sorted(roots)))
        for name, roots in packed.items()
        if roots
    ]
    if first_party_roots:
        distributions.append(
            PackedDistribution(name=FIRST_PARTY, version=None, roots=tuple(sorted(first_party_roots)))
        )
    mocks = tuple(sorted(d.module for d in decisions if d.action is Action.MOCK))
    operators = {os.path.realpath(path) for path in trace.evidence.operators}
    names = {os.path.basename(path) for path in (*operators, *trace.evidence.operators)}
    libraries = tuple(
        sorted(
            file.record
            for file in files.values()
            # Finding out the real path takes long where there are thousands of files. When the case is packed
            # again, the clean process may have loaded another build than this one.
            if file.content is None
            and os.path.basename(file.path) in names
            and (
                os.path.realpath(file.path) in operators
                or any(path.endswith(f"/{file.record}") for path in operators)
            )
        )
    )
    externs, indirect = _externs(trace, decisions, interned, declared)
    # A case that is packed again where something is missing does without it as before.
    lacking = [
        Extern(distribution=name, version=version, modules=found, names=names, soft=True)
        for name, version, found, names in trace.lacking
        if name not in {extern.distribution for extern in externs}
    ]
    externs = tuple(sorted((*externs, *lacking), key=lambda extern: extern.distribution or ""))
    missing = {module.partition(".")[0] for extern in lacking for module in extern.modules}
    return Plan(
        entry=trace.entry,
        decisions=tuple(sorted(decisions)),
        files=tuple(sorted(files.values())),
        distributions=tuple(sorted(distributions, key=lambda d: d.name)),
        externs=externs,
        indirect=indirect,
        absent=tuple(n for n in trace.evidence.absent if n not in first_party_roots | missing),
        mocks=mocks,
        deferrable=_deferrable(trace, needed),
        materialised=_materialised(trace, files),
        libraries=libraries,
        operators=trace.evidence.schemas if libraries else (),
        loaded=frozenset(needed),
        bytecode_only=tuple(
            name for name in sorted(interned) if trace.modules[name].kind is ModuleKind.BYTECODE
        ),
        left_out=tuple(left_out),
        metadata=_asked_metadata(trace, externs)
        | {name: _metadata(trace.distributions[name], unneeded[name]) for name in packed},
        graph=trace.graph,
        unneeded={name: tuple(sorted(modules)) for name, modules in unneeded.items() if modules},
    )


def _listed(found: DistributionFacts) -> set[ModuleName]:
    """Return the modules that were left out when the case was made that the distribution comes from."""
    return set(map(ModuleName, found.metadata.get(LEFT_OUT, b"").decode().split()))


def _metadata(found: DistributionFacts, unneeded: Iterable[ModuleName]) -> dict[str, bytes]:
    files = {name: data for name, data in found.metadata.items() if name != LEFT_OUT}
    names = "".join(f"{name}\n" for name in sorted(unneeded))
    return {**files, LEFT_OUT: names.encode()} if names else files


def _bytecode_record(module: ModuleName, tag: str, is_package: bool) -> str:
    """Return the name of the record of a module's bytecode (docs/format.md, 2)."""
    return f".wardian/bytecode/{tag}/{module.replace('.', '/')}{'/__init__' if is_package else ''}.pyc"


def _externs(
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
            modules[distribution] = {module.partition(".")[0] for module in others[distribution]}
    externs = tuple(
        Extern(
            distribution=distribution,
            version=_version(trace, distribution),
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
            version=_version(trace, distribution),
            modules=tuple(sorted({module.partition(".")[0] for module in found})),
            names=(),
            soft=False,
        )
        for distribution, found in sorted(others.items())
        if distribution not in modules
    )
    return externs, indirect


def _asked_metadata(trace: Trace, externs: Iterable[Extern]) -> dict[str, dict[str, bytes]]:
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
    tops = {module.partition(".")[0] for module in modules}
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
    pickled = {ref.module.partition(".")[0] for ref in trace.globals}
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
        if (used is None or any(module.partition(".")[0] in used for module in extern.modules))
        and not {module.partition(".")[0] for module in extern.modules} <= LOGGING_LIBRARIES
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


def _version(trace: Trace, distribution: str | None) -> str | None:
    if distribution == "torch":
        return trace.torch
    found = trace.distributions.get(distribution or "")
    return None if found is None else found.version


def _deferrable(trace: Trace, needed: set[ModuleName]) -> tuple[ModuleName, ...]:
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


def _materialised(trace: Trace, files: Mapping[RecordName, PackedFile]) -> tuple[str, ...]:
    """Return the top-level names whose folder or data was looked at, in the run or when a case was made."""
    tops: set[str] = set()
    read = frozenset(trace.evidence.files)
    folders = {path for path in read if not os.path.splitext(path)[1]}
    for record, file in files.items():
        top = record.partition("/")[0].removesuffix(".py")
        data = file.module is None and file.path in read
        if data or top in trace.materialised or (folders and os.path.dirname(file.path) in folders):
            tops.add(top)
    return tuple(sorted(tops))
