"""From what an exporter decided to the engine's plan, and to the file."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from wardian.archive.writer import ArchiveWriter
from wardian.domain.decisions import FIRST_PARTY, Decision, PackedFile
from wardian.domain.manifest import Entry, Extern, PackedDistribution, TensorEntry
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, RecordName, record_name, top_level
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.domain.record_names import SERIALIZATION_ID
from wardian.environment.distributions import Distributions
from wardian.package._closure import Closure, Member
from wardian.packing.writing.assembly import Contents, assemble

__all__ = ["PickledEntry", "record_of", "write"]


@dataclass(frozen=True, slots=True)
class PickledEntry:
    """One pickle of a package."""

    record: RecordName
    type: str
    data: bytes
    tensors: tuple[TensorEntry, ...]


def write(
    archive: ArchiveWriter,
    closure: Closure,
    entries: Sequence[PickledEntry],
    resources: Mapping[RecordName, bytes],
    scripts: Mapping[RecordName, bytes],
) -> None:
    """Write a package.

    Args:
        archive: Holds the storages already.
        closure: Modules, each decided about.
        entries: The pickles.
        resources: Other files.
        scripts: Records of TorchScript.

    Raises:
        PackError: if two files have one name.
    """
    sources = {
        record_of(member): member.source
        for member in closure.members.values()
        if member.source is not None and member.action in (Action.INTERN, Action.MOCK)
    }
    others = [*resources, *(entry.record for entry in entries)]
    pickles = {entry.record: entry.data for entry in entries}
    contents = Contents(
        entries=tuple(
            Entry(name=entry.record, record=entry.record, type=entry.type, test=None, outputs=False)
            for entry in sorted(entries, key=lambda entry: entry.record)
        ),
        pickles=pickles,
        tensors=tuple(tensor for entry in entries for tensor in entry.tensors),
        resources={**resources, **scripts, SERIALIZATION_ID: _serial(sources, pickles)},
        metadata={},
        torch=torch.__version__,
        proof="skipped",
        sources=sources,
        extern_modules=tuple(
            member.module for member in closure.members.values() if member.action is Action.EXTERN
        ),
    )
    assemble(archive, _plan(closure, sources, others), contents)


def record_of(member: Member) -> RecordName:
    """Return the name under which the source of a module is in the archive."""
    return record_name(member.module.replace(".", "/") + ("/__init__.py" if member.is_package else ".py"))


def _serial(*parts: Mapping[RecordName, bytes]) -> bytes:
    """Return what PyTorch calls a serialization id: 40 digits that stand for the content."""
    digest = hashlib.sha256()
    for part in parts:
        for name, data in sorted(part.items()):
            digest.update(f"{name}\0{len(data)}\0".encode())
            digest.update(data)
    return f"{int.from_bytes(digest.digest(), 'big') % 10**40:040}".encode()


def _plan(closure: Closure, sources: Mapping[RecordName, bytes], others: Sequence[RecordName]) -> Plan:
    members = closure.members.values()
    inside = [member for member in members if member.action in (Action.INTERN, Action.MOCK)]
    owners = {member.module: _owner(member) for member in members}
    roots: dict[str | None, set[str]] = {}
    for member in inside:
        roots.setdefault(owners[member.module], set()).add(top_level(member.module))
    tops = {record.partition("/")[0] for record in others} - {
        top for found in roots.values() for top in found
    }
    roots.setdefault(None, set()).update(tops)
    every = {top for found in roots.values() for top in found}
    return Plan(
        entry="the package",
        decisions=tuple(
            sorted(Decision(m.module, m.action, m.reason, owners[m.module]) for m in closure.members.values())
        ),
        files=tuple(
            sorted(
                PackedFile(
                    record := record_of(m), f"<{m.module}>", len(sources[record]), m.module, owners[m.module]
                )
                for m in inside
                if m.source is not None
            )
        ),
        distributions=tuple(
            PackedDistribution(name=name or FIRST_PARTY, version=_version(name), roots=tuple(sorted(found)))
            for name, found in sorted(roots.items(), key=lambda item: item[0] or FIRST_PARTY)
            if found
        ),
        indirect=(),
        externs=_externs(closure, owners),
        absent=tuple(sorted(closure.absent - every - {top_level(m) for m in closure.members})),
        mocks=tuple(sorted(m.module for m in inside if m.action is Action.MOCK)),
        deferrable=(),
        bytecode_only=(),
        materialised=(),
        libraries=(),
        operators=(),
        loaded=frozenset(m.module for m in inside if _runs(m)),
        left_out=(),
        metadata={
            name: Distributions.current()[name].metadata_files()
            for name in roots
            if name is not None and Distributions.current().get(name) is not None
        },
        graph=closure.import_graph(),
    )


def _owner(member: Member) -> str | None:
    return None if member.found is None else member.found.facts.distribution


def _version(distribution: str | None) -> str | None:
    found = None if distribution is None else Distributions.current().get(distribution)
    return None if found is None else found.version


def _runs(member: Member) -> bool:
    """Tell whether a module is likely to run when the package is used, so that its bytecode pays."""
    if member.action is Action.MOCK or not member.scanned:
        return False
    return member.found is None or member.found.mount is not None or member.module in sys.modules


def _externs(closure: Closure, owners: Mapping[ModuleName, str | None]) -> tuple[Extern, ...]:
    modules: dict[tuple[str | None, str], list[ModuleName]] = {("torch", "torch"): [ModuleName("torch")]}
    packed = {top_level(m.module) for m in closure.members.values() if m.action is Action.INTERN}
    for member in closure.members.values():
        # Of the standard library what its own packages need that are packaged: `json.decoder` below `json`.
        outside = not is_stdlib(member.module) or top_level(member.module) in packed
        if member.action is Action.EXTERN and outside:
            owner = owners[member.module]
            # What no distribution owns is kept apart by its top-level name.
            key = (owner, owner or top_level(member.module))
            found = modules.setdefault(key, [])
            if member.module not in found:
                found.append(member.module)
    return tuple(
        Extern(
            distribution=owner,
            version=_version(owner),
            modules=tuple(sorted(found)),
            names=(),
            soft=owner != "torch" and not any(module in sys.modules for module in found),
        )
        for (owner, _), found in sorted(modules.items(), key=lambda item: item[0][1])
    )
