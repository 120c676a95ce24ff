"""Which files a plan packs, and under which names."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterable, Mapping

from wardian.domain.decisions import FIRST_PARTY, Decision, PackedFile
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import (
    ModuleName,
    RecordName,
    module_of,
    record_name,
    top_level,
)
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.domain.record_names import LEFT_OUT, LICENCES, bytecode_record
from wardian.domain.trace import DistributionFacts, Trace
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
    packed = _Packed(trace, decisions, in_part)
    libraries = _operator_libraries(trace, packed.files.values())
    externs, indirect = find_externs(trace, decisions, packed.interned, declared)
    # A case that is packed again where something is missing does without it as before.
    lacking = [
        Extern(distribution=name, version=version, modules=found, names=names, soft=True)
        for name, version, found, names in trace.lacking
        if name not in {extern.distribution for extern in externs}
    ]
    externs = tuple(sorted((*externs, *lacking), key=lambda extern: extern.distribution or ""))
    missing = {top_level(module) for extern in lacking for module in extern.modules}
    return Plan(
        entry=trace.entry,
        decisions=tuple(sorted(decisions)),
        files=tuple(sorted(packed.files.values())),
        distributions=packed.distributions(),
        externs=externs,
        indirect=indirect,
        absent=tuple(n for n in trace.evidence.absent if n not in packed.own_roots | missing),
        mocks=tuple(sorted(d.module for d in decisions if d.action is Action.MOCK)),
        deferrable=deferrable(trace, packed.needed),
        materialised=_materialised(trace, packed.files),
        libraries=libraries,
        operators=trace.evidence.schemas if libraries else (),
        loaded=frozenset(packed.needed),
        bytecode_only=tuple(
            name for name in sorted(packed.interned) if trace.modules[name].kind is ModuleKind.BYTECODE
        ),
        left_out=tuple(packed.left_out),
        unread=tuple(str(found) for found in trace.unread if found.module in packed.interned),
        metadata=asked_metadata(trace, externs)
        | _with_licences_once(
            {
                name: _metadata(trace.distributions[name], packed.unneeded[name])
                for name in sorted(packed.roots)
            }
        ),
        graph=trace.graph,
        unneeded={name: tuple(sorted(modules)) for name, modules in packed.unneeded.items() if modules},
        set_at_load=trace.set_at_load,
    )


class _Packed:
    """The modules, files and top-level names that are packed, of distributions and of the user's own code.

    Args:
        trace: What the object needs.
        decisions: One for each module.
        in_part: Distributions of which only modules that can be reached are packed.
    """

    def __init__(self, trace: Trace, decisions: list[Decision], in_part: Container[str]) -> None:
        self._trace = trace
        self.interned = {d.module for d in decisions if d.action is Action.INTERN}
        self.needed = self.interned & trace.needed
        self.files: dict[RecordName, PackedFile] = {}
        self.roots: dict[str, set[str]] = {}
        """Top-level names, by distribution."""
        self.own_roots: set[str] = set()
        """Those of the user's own code."""
        self.left_out: list[str] = []
        self.unneeded: dict[str, set[ModuleName]] = {}
        """Modules that stay outside, by distribution."""
        self._add_distributions({d.module: d.action for d in decisions}, in_part)
        for name in sorted(self.interned):
            self._add_module(trace.modules[name])
        self._add_shared_roots()
        self._add_own_data()

    def distributions(self) -> tuple[PackedDistribution, ...]:
        """Return what the manifest says of each, sorted by name."""
        found = [
            PackedDistribution(
                name=name, version=self._trace.distributions[name].version, roots=tuple(sorted(roots))
            )
            for name, roots in self.roots.items()
            if roots
        ]
        if self.own_roots:
            own = tuple(sorted(self.own_roots))
            found.append(PackedDistribution(name=FIRST_PARTY, version=None, roots=own))
        return tuple(sorted(found, key=lambda d: d.name))

    def _add(self, file: PackedFile) -> None:
        self.files[file.record] = file

    def _add_distributions(self, action: Mapping[ModuleName, Action], in_part: Container[str]) -> None:
        for name in sorted(self.needed):
            owner = self._trace.modules[name].distribution
            if owner is not None:
                self.roots.setdefault(owner, set())
        for distribution, found in self._trace.distributions.items():
            if distribution not in self.roots:
                continue
            self.left_out += found.left_out
            self.unneeded[distribution] = _listed(found)
            for record, path, size in found.files:
                module = module_of(record)
                if module is not None and action.get(module, Action.INTERN) is not Action.INTERN:
                    continue
                if distribution in in_part and module is not None and module not in action:
                    self.unneeded[distribution].add(module)
                    continue
                if distribution in in_part and module is None and record not in self._trace.data:
                    continue
                self._add(PackedFile(record_name(record), path, size, module, distribution))
                self.roots[distribution].add(record.partition("/")[0].removesuffix(".py"))

    def _add_module(self, facts: ModuleFacts) -> None:
        """Add a module, if it is the user's own, captured, or without source."""
        name, owner = facts.name, facts.distribution
        source = name.replace(".", "/") + ("/__init__.py" if facts.is_package else ".py")
        if owner is None and facts.kind is ModuleKind.SOURCE and facts.file is not None:
            self._add(PackedFile(record_name(source), facts.file, os.stat(facts.file).st_size, name, None))
        if name in self._trace.captured:
            content = self._trace.captured[name].encode()
            self._add(PackedFile(record_name(source), "", len(content), name, None, content))
        if facts.kind is ModuleKind.BYTECODE and facts.file is not None:
            record = record_name(bytecode_record(sys.implementation.cache_tag, source.removesuffix(".py")))
            self._add(PackedFile(record, facts.file, os.stat(facts.file).st_size, name, owner))
            if owner is not None:
                self.roots[owner].add(top_level(name))
        if owner is None:
            self.own_roots.add(top_level(name))

    def _add_shared_roots(self) -> None:
        for top, owners in self._trace.sharing:
            if any(top in roots for roots in self.roots.values()):
                for owner in owners:
                    (self.own_roots if owner is None else self.roots.setdefault(owner, set())).add(top)
                    if owner is not None:
                        self.unneeded.setdefault(owner, _listed(self._trace.distributions[owner]))

    def _add_own_data(self) -> None:
        """Add data files of the user's own, but for those of packages that stay outside."""
        modules = self._trace.modules.items()
        outside = {top_level(name) for name, facts in modules if facts.distribution is None} - self.own_roots
        for record, path, size in self._trace.first_party_files:
            if record.partition("/")[0] not in outside and record not in self.files:
                self._add(PackedFile(record_name(record), path, size, None, None))


def _operator_libraries(trace: Trace, files: Iterable[PackedFile]) -> tuple[RecordName, ...]:
    """Return the packed files that the run has loaded as libraries of operators."""
    operators = {os.path.realpath(path) for path in trace.evidence.operators}
    names = {os.path.basename(path) for path in (*operators, *trace.evidence.operators)}
    return tuple(
        sorted(
            file.record
            for file in files
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
