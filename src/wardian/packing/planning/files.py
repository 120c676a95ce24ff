"""Which files a plan packs, and under which names."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterable, Mapping

from wardian.domain.decisions import FIRST_PARTY, Decision, PackedFile
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.domain.modules import ModuleKind
from wardian.domain.names import (
    ModuleName,
    RecordName,
    module_of,
    record_name,
    top_level,
)
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.domain.trace import DistributionFacts, Trace
from wardian.environment.distributions import LEFT_OUT, LICENCES
from wardian.packing.planning.deferral import deferrable
from wardian.packing.planning.externs import (
    asked_metadata,
    find_externs,
)

__all__ = ["SMALL_DISTRIBUTION", "assemble_plan"]


SMALL_DISTRIBUTION = 512 << 10
"""Bytes of files up to which a distribution is packed whole: there is little to gain by leaving some out."""


def assemble_plan(
    trace: Trace, decisions: list[Decision], declared: Container[str], in_part: Container[str]
) -> Plan:
    """Gather all that the decisions entail: files, externs, metadata, packages that wait for their first use.

    Args:
        trace: What the object needs.
        decisions: One for each module.
        declared: Modules that a rule of the user's makes externs.
        in_part: Distributions of which only modules that can be reached are packed.
    """
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
    externs, indirect = find_externs(trace, decisions, interned, declared)
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
        deferrable=deferrable(trace, needed),
        materialised=_materialised(trace, files),
        libraries=libraries,
        operators=trace.evidence.schemas if libraries else (),
        loaded=frozenset(needed),
        bytecode_only=tuple(
            name for name in sorted(interned) if trace.modules[name].kind is ModuleKind.BYTECODE
        ),
        left_out=tuple(left_out),
        unread=tuple(str(found) for found in trace.unread if found.module in interned),
        metadata=asked_metadata(trace, externs)
        | _with_licences_once(
            {name: _metadata(trace.distributions[name], unneeded[name]) for name in sorted(packed)}
        ),
        graph=trace.graph,
        unneeded={name: tuple(sorted(modules)) for name, modules in unneeded.items() if modules},
        set_at_load=trace.set_at_load,
    )


def _listed(found: DistributionFacts) -> set[ModuleName]:
    """Return the modules that were left out when the case was made that the distribution comes from."""
    return set(map(ModuleName, found.metadata.get(LEFT_OUT, b"").decode().split()))


def _metadata(found: DistributionFacts, unneeded: Iterable[ModuleName]) -> dict[str, bytes]:
    files = {name: data for name, data in found.metadata.items() if name != LEFT_OUT}
    names = "".join(f"{name}\n" for name in sorted(unneeded))
    return {**files, LEFT_OUT: names.encode()} if names else files


def _with_licences_once(metadata: Mapping[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    """Leave out licences whose text another distribution has that comes before: most are one of a few."""
    seen: set[bytes] = set()
    kept: dict[str, dict[str, bytes]] = {}
    for distribution, files in metadata.items():
        kept[distribution] = {}
        for name, data in files.items():
            if not name.startswith(LICENCES) or data not in seen:
                kept[distribution][name] = data
            seen |= {data} if name.startswith(LICENCES) else set()
    return kept


def _bytecode_record(module: ModuleName, tag: str, is_package: bool) -> str:
    """Return the name of the record of a module's bytecode (docs/reference/format.md, 2)."""
    return f".wardian/bytecode/{tag}/{module.replace('.', '/')}{'/__init__' if is_package else ''}.pyc"


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
