"""Which imports lead to a module, read off the packed sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from wardian.archive import ArchiveReader, FolderReader, ParsingBudget
from wardian.domain.graph import Import, ImportContext, ImportGraph, ImportsByNeed
from wardian.domain.manifest import Manifest
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, RecordName, is_module_name, top_level
from wardian.domain.record_names import IMPORTS
from wardian.pickling.listing import named_globals
from wardian.source.parsing import batch
from wardian.source.scanning import scan

__all__ = [
    "Reason",
    "Step",
    "Where",
    "explain",
    "find_steps",
    "known_modules",
    "packed_imports",
    "packed_modules",
]

_KEPT = re.compile(
    r"(?P<imported>\S+) (?P<importer>\S+) (?P<line>[0-9]{1,9})"
    rf" (?P<context>{'|'.join(ImportContext)})(?: (?P<qualname>\S+))?"
)

Where = Literal["inside", "outside", "mocked", "hidden", "built in", "nowhere"]


def packed_modules(archive: ArchiveReader | FolderReader) -> dict[ModuleName, RecordName]:
    """Return the modules of which an archive has the source, by their original names."""
    found: dict[ModuleName, RecordName] = {}
    for record in archive.names:
        if record.startswith(".") or not record.endswith(".py"):
            continue
        name = record.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if is_module_name(name):
            found[ModuleName(name)] = record
    return found


def packed_imports(archive: ArchiveReader | FolderReader, manifest: Manifest) -> ImportGraph:
    """Return which imports lead to the modules, as a graph: those that packing saw, if the case tells them.

    Else the sources are parsed, and not run. An import that no source shows, such as one whose name is
    computed, is not in the graph then. Of a source that cannot be parsed, or is far larger than the file
    warrants, nothing is.

    Args:
        archive: An open archive.
        manifest: What it says about itself.
    """
    modules = packed_modules(archive)
    return _kept_imports(archive, modules) or ImportGraph(_edges(archive, manifest, modules))


def _edges(
    archive: ArchiveReader | FolderReader, manifest: Manifest, modules: dict[ModuleName, RecordName]
) -> Iterator[Import]:
    read = _reader(archive, manifest, modules)
    with batch():
        for name in dict.fromkeys((*(ModuleName(entry.name) for entry in manifest.entries), *modules)):
            yield from read(name)


def _reader(
    archive: ArchiveReader | FolderReader, manifest: Manifest, modules: dict[ModuleName, RecordName]
) -> Callable[[ModuleName], Iterator[Import]]:
    """Return what reads the imports of one module, or what the pickle of an entry point names."""
    budget = ParsingBudget(archive)
    pickles = {ModuleName(entry.name): RecordName(entry.record) for entry in manifest.entries}

    def read(name: ModuleName) -> Iterator[Import]:
        if name in pickles:
            for module, qualname in named_globals(budget.read(pickles[name]) or b""):
                yield Import(name, ModuleName(module), 0, ImportContext.PICKLED, qualname=qualname)
        record = modules.get(name)
        source = None if record is None else budget.read(record)
        if record is None or source is None:
            return
        try:
            facts = scan(source, name, is_package=record.endswith("/__init__.py"), file=record)
        except SyntaxError:  # of another Python
            return
        yield from facts.imports
        yield from (edge for edge in facts.candidates if edge.imported in modules)

    return read


def _kept_imports(
    archive: ArchiveReader | FolderReader, modules: dict[ModuleName, RecordName]
) -> ImportGraph | None:
    """Return the imports that packing saw; None if the case does not tell them."""
    listing = ParsingBudget(archive).read(IMPORTS) if IMPORTS in archive else None
    if listing is None:
        return None
    edges = []
    for line in listing.decode("utf-8", "replace").splitlines():
        found = _KEPT.fullmatch(line)
        if found is not None and is_module_name(found["imported"]):
            importer = ModuleName(found["importer"])
            edges.append(
                Import(
                    importer,
                    ModuleName(found["imported"]),
                    int(found["line"]),
                    ImportContext(found["context"]),
                    modules.get(importer, ""),
                    found["qualname"] or "",
                )
            )
    return ImportGraph(edges)


@dataclass(frozen=True, slots=True)
class Step:
    """A module, and the import that leads to it; the import's importer leads on to the entry point."""

    module: str
    owner: str
    """Name of the distribution that it belongs to; empty if that is not known."""
    where: Where
    size: int
    """Size of its source in bytes; 0 if it is not inside."""
    reason: str
    """The import as a sentence; empty if no source shows one."""
    importer: str | None
    """The module that imports it; None at the end of the chain."""


def find_steps(archive: ArchiveReader | FolderReader, manifest: Manifest) -> list[Step]:
    """Tell of every module that is inside, outside, mocked or hidden which import leads to it.

    Args:
        archive: An open archive.
        manifest: What it says about itself.

    Returns:
        The modules, sorted by name.
    """
    modules = packed_modules(archive)
    graph = packed_imports(archive, manifest)
    came_by = graph.find_last_steps(ModuleName(entry.name) for entry in manifest.entries)
    owners = {root: d.name for d in manifest.distributions for root in d.roots}
    providers = {m: extern.distribution or m for extern in manifest.externs for m in extern.modules}
    places: dict[str, Where] = dict.fromkeys(manifest.absent, "hidden")
    places |= dict.fromkeys(providers, "outside")
    places |= dict.fromkeys(manifest.mocks, "mocked")
    places |= dict.fromkeys(modules, "inside")
    below: dict[str, str] = {}
    for reached in sorted(came_by):
        for end, letter in enumerate(reached):
            if letter == ".":
                below.setdefault(reached[:end], reached)
    found: list[Step] = []
    for module, where in sorted(places.items()):
        edge = came_by.get(ModuleName(module))
        importer: str | None = None
        if edge is not None:
            reason = str(edge)
            importer = edge.importer if edge.importer in places else None
        elif module in below:
            importer = below[module] if below[module] in places else None
            reason = f"the package of {below[module]}"
        else:
            reason = ""
        size = archive.size(modules[ModuleName(module)]) if where == "inside" else 0
        owner = (owners if where == "inside" else providers).get(
            top_level(module) if where == "inside" else module, ""
        )
        found.append(Step(module, owner, where, size, reason, importer))
    return found


@dataclass(frozen=True, slots=True)
class Reason:
    """Where a module is, and which imports lead to it."""

    where: Where
    words: str
    """The same as a sentence."""
    chain: tuple[str, ...]
    """One line for each import, with file and line; empty if none is known."""


def explain(archive: ArchiveReader | FolderReader, manifest: Manifest, module: str) -> Reason:
    """Tell where a module is, and how the objects of a case lead to it.

    Args:
        archive: An open archive.
        manifest: What it says about itself.
        module: Dotted name of a module, packed or outside.

    Returns:
        The reason, with the shortest chain of imports from an entry point.
    """
    where, words = _place_of(archive, manifest, module)
    if where == "nowhere":
        return Reason(where, words, ())
    modules = packed_modules(archive)
    kept = _kept_imports(archive, modules)
    chain = () if kept is None else _shortest_chain(kept, manifest, module)
    if not chain:
        with batch():
            chain = _shortest_chain(ImportsByNeed(_reader(archive, manifest, modules)), manifest, module)
    return Reason(where, words, chain)


def known_modules(archive: ArchiveReader | FolderReader, manifest: Manifest) -> list[str]:
    """Return the modules of which a case says where they are: inside, outside, mocked, hidden."""
    outside = (name for extern in manifest.externs for name in extern.modules)
    return sorted({*packed_modules(archive), *outside, *manifest.mocks, *manifest.absent})


def _shortest_chain(graph: ImportGraph, manifest: Manifest, module: str) -> tuple[str, ...]:
    chains = [graph.explain(ModuleName(entry.name), ModuleName(module)) for entry in manifest.entries]
    return min(filter(None, chains), key=len, default=())


def _place_of(archive: ArchiveReader | FolderReader, manifest: Manifest, module: str) -> tuple[Where, str]:
    top = top_level(module)
    if module in manifest.mocks:
        return "mocked", "a stand-in takes its place, as the policy said"
    if module in packed_modules(archive):
        owners = [f"{d.name} {d.version or ''}".strip() for d in manifest.distributions if top in d.roots]
        return "inside", f"inside, part of {' or '.join(owners) or 'what the object needs'}"
    for extern in manifest.externs:
        if any(module == known or top == top_level(known) for known in extern.modules):
            need = (
                "the case loads and passes its self-test without it" if extern.soft else "the case needs it"
            )
            name = f"{extern.distribution or top} {extern.version or ''}".strip()
            return "outside", f"outside, provided by {name}; {need}"
    if top in manifest.absent:
        return "hidden", "it was not installed when the case was made, so packed code does not find it"
    if is_stdlib(ModuleName(module)):
        return "built in", "part of the standard library, which is there wherever Python is"
    return "nowhere", "the case has nothing to do with it"
