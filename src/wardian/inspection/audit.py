"""The capabilities of a case's code, read off its sources, bytecode and pickles without running any of it.

It informs, and proves nothing: code that wants to hide what it does can.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wardian.archive import ArchiveReader, FolderReader, ParsingBudget
from wardian.domain.manifest import Manifest
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, RecordName, top_level
from wardian.domain.record_names import BYTECODE
from wardian.inspection.bytecode import compiles_from, units_of_bytecode
from wardian.inspection.capabilities import Capability, capability_in_pickle
from wardian.inspection.imports import packed_modules
from wardian.inspection.native import find_libraries
from wardian.inspection.units import ModuleUnits, Unit, units_of_source, uses_of
from wardian.pickling.listing import read_globals
from wardian.reading.foreign import PICKLES
from wardian.source.parsing import batch, parse

__all__ = ["Audit", "Finding", "PickledGlobal", "WHEN", "When", "audit"]

When = Literal["import", "reachable", "elsewhere"]
"""When code runs: as its module is imported; when the object is used, as far as names tell; or neither."""

WHEN: Mapping[When, str] = {"import": "at import", "reachable": "reachable", "elsewhere": "elsewhere"}
"""How pages say it: with the words of JSON and of policies."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place where code could do something beside computing."""

    capability: Capability
    when: When
    record: str
    line: int
    """From 1; 0 where bytecode or a pickle does not tell."""
    name: str
    """Dotted name of what is called or mentioned."""

    @property
    def is_library(self) -> bool:
        """Whether it is a packed library, and not code that could do something."""
        return self.name == _LIBRARY

    def __str__(self) -> str:
        return f"{self.record}{f':{self.line}' if self.line else ''}: {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class PickledGlobal:
    """A class or function that a pickle names, and so may call."""

    record: str
    module: str
    qualname: str
    where: Literal["inside", "outside", "standard library", "not declared"]
    capability: Capability | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Audit:
    """The capabilities of a case's code."""

    findings: tuple[Finding, ...]
    globals: tuple[PickledGlobal, ...]
    unlike: tuple[str, ...]
    """Bytecode records that do not compile from the source beside them."""
    unchecked: tuple[str, ...]
    """Bytecode of another Python, which this one cannot compare."""
    unreadable: tuple[str, ...]
    """Sources, bytecode and pickles that cannot be parsed, or are far larger than the file warrants."""

    def __repr__(self) -> str:
        counts = Counter(finding.capability for finding in self.findings)
        found = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no findings"
        marks = f"{len(self.unlike)} unlike, {len(self.unreadable)} unreadable"
        return f"<Audit: {found}; {len(self.globals)} globals in pickles; {marks}>"

    def to_plain(self) -> dict[str, Any]:
        """Return the audit as JSON-able data; docs/reference/cli.md has the keys."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "globals": [asdict(found) for found in self.globals],
            "unlike": list(self.unlike),
            "unchecked": list(self.unchecked),
            "unreadable": list(self.unreadable),
        }


def audit(archive: ArchiveReader | FolderReader, manifest: Manifest) -> Audit:
    """Look for what the code of an archive could do.

    Args:
        archive: An open case, or an archive of torch.package.
        manifest: What it says about itself.

    Returns:
        All findings, sorted.

    Raises:
        CorruptCaseError: if a record is damaged.
    """
    modules = packed_modules(archive)
    budget = ParsingBudget(archive)
    named, broken = _pickled(archive, manifest, modules, budget)
    code, unreadable = _read_sources(modules, budget)
    unlike: list[str] = []
    unchecked: list[str] = []
    for record in archive.names:
        if not record.startswith(BYTECODE):
            continue
        tag, _, path = record.removeprefix(BYTECODE).partition("/")
        source = RecordName(path.removesuffix("c"))
        module = ModuleName(path.removesuffix(".pyc").removesuffix("/__init__").replace("/", "."))
        if tag != sys.implementation.cache_tag:
            unchecked.append(record)
            continue
        bytecode, written = budget.read(record), budget.read(source) if source in archive else b""
        if bytecode is None or written is None:
            unreadable.append(record)
        elif source in archive:
            if not compiles_from(bytecode, written, module, source, manifest.roots):
                unlike.append(record)
        else:
            try:
                code[module] = units_of_bytecode(bytecode, module, record)
            except ValueError:
                unreadable.append(record)
    return Audit(
        findings=tuple(sorted({*_findings(code, named), *_libraries(archive, manifest)})),
        globals=named,
        unlike=tuple(unlike),
        unchecked=tuple(unchecked),
        unreadable=(*unreadable, *broken),
    )


def _read_sources(
    modules: Mapping[ModuleName, RecordName], budget: ParsingBudget
) -> tuple[dict[str, ModuleUnits], list[str]]:
    found: dict[str, ModuleUnits] = {}
    unreadable: list[str] = []
    with batch():
        for module, record in modules.items():
            source = budget.read(record)
            try:
                if source is None:
                    unreadable.append(record)
                else:
                    found[module] = units_of_source(parse(source, record), module, record)
            except (SyntaxError, RecursionError):
                unreadable.append(record)
    return found, unreadable


def _findings(code: Mapping[str, ModuleUnits], named: Iterable[PickledGlobal]) -> Iterator[Finding]:
    reachable = _reachable([unit for module in code.values() for unit in module.units], named)
    for module in code.values():
        for unit in module.units:
            when: When = "import" if not unit.name else "reachable" if unit in reachable else "elsewhere"
            for capability, line, name in set(uses_of(module, unit, code)):
                yield Finding(capability, when, unit.record, line, name)


_LIBRARY = "a compiled library"


def _libraries(archive: ArchiveReader | FolderReader, manifest: Manifest) -> Iterator[Finding]:
    """Yield a finding for each packed library: those of operators are loaded before the objects."""
    loaded = {library.record for library in manifest.libraries}
    for record in find_libraries(archive, manifest, archive.names):
        when: When = "import" if record in loaded else "elsewhere"
        yield Finding(Capability.NATIVE, when, record, 0, _LIBRARY)


def _pickled(
    archive: ArchiveReader | FolderReader, manifest: Manifest, modules: Iterable[str], budget: ParsingBudget
) -> tuple[tuple[PickledGlobal, ...], list[str]]:
    """Return what the pickles of an archive name, and which of them cannot be read to their end."""
    inside = {*modules, *manifest.roots}
    outside = {top_level(module) for extern in manifest.externs for module in extern.modules} | {"torch"}
    found: list[PickledGlobal] = []
    broken: list[str] = []
    for record in _pickles(archive, manifest):
        named, is_whole = read_globals(budget.read(record) or b"")
        if not is_whole:
            broken.append(record)
        for module, qualname in named:
            where: Literal["inside", "outside", "standard library", "not declared"]
            top = top_level(module)
            if module in inside or top in inside:
                where = "inside"
            elif top in outside:
                where = "outside"
            else:
                where = "standard library" if is_stdlib(ModuleName(module)) else "not declared"
            capability = None if where == "inside" else capability_in_pickle(module, qualname)
            found.append(PickledGlobal(record, module, qualname, where, capability))
    return tuple(found), broken


def _pickles(archive: ArchiveReader | FolderReader, manifest: Manifest) -> Iterator[RecordName]:
    """Yield the pickles of objects and self-tests, then other records that begin as pickles do."""
    known = dict.fromkeys(
        RecordName(r) for e in manifest.entries for r in (e.record, e.test) if r is not None
    )
    yield from known
    for record in archive.names:
        is_data = record not in known and not record.startswith(".") and not record.endswith(".py")
        if is_data and archive.size(record) >= 4 and archive.begins(record, 2) in PICKLES:
            yield record


def _reachable(units: Iterable[Unit], named: Iterable[PickledGlobal]) -> set[Unit]:
    """Return the functions that the objects of the pickles could call, by their names.

    A function is taken for reachable if code that is, or that runs at import, mentions its name anywhere; a
    method if the name of its class is mentioned, too. Special methods need no mention, and of a class that a
    pickle names no method does.
    """
    by_name: dict[str, list[Unit]] = {}
    by_owner: dict[str, list[Unit]] = {}
    for unit in units:
        by_name.setdefault(unit.name, []).append(unit)
        by_owner.setdefault(unit.owner, []).append(unit)
    held = {found.qualname.partition(".")[0] for found in named}
    queue = [unit for unit in units if not unit.name]
    queue += [unit for name in held for unit in (*by_name.get(name, ()), *by_owner.get(name, ()))]
    seen = set(held)
    reached: set[Unit] = set()
    while queue:
        unit = queue.pop()
        if unit in reached:
            continue
        reached.add(unit)
        for name in unit.mentions - seen:
            seen.add(name)
            queue += [u for u in by_name.get(name, ()) if not u.owner or u.owner in seen]
            queue += [u for u in by_owner.get(name, ()) if u.name in seen or _needs_no_mention(u.name)]
    return reached


def _needs_no_mention(method: str) -> bool:
    return method.startswith("__") or method == "forward"
