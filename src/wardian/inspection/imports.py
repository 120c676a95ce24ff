"""Which imports lead to a module, read off the packed sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wardian.archive import ArchiveReader, FolderReader
from wardian.environment import is_stdlib
from wardian.graph import Import, ImportContext, ImportGraph
from wardian.manifest import Manifest
from wardian.names import ModuleName, RecordName, is_module_name
from wardian.pickling.listing import named_globals
from wardian.source import batch, scan

__all__ = ["Reason", "explain", "packed_imports", "packed_modules"]


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
    """Return what the packed sources import, and what the pickles name, as a graph.

    The sources are parsed and not run. An import that no source shows, such as one whose name is computed, is
    not in the graph. Of a source that cannot be parsed nothing is.

    Args:
        archive: An open archive.
        manifest: What it says about itself.
    """
    modules = packed_modules(archive)
    return ImportGraph(_edges(archive, manifest, modules))


def _edges(
    archive: ArchiveReader | FolderReader, manifest: Manifest, modules: dict[ModuleName, RecordName]
) -> Iterator[Import]:
    for entry in manifest.entries:
        for module, qualname in named_globals(archive.read(RecordName(entry.record))):
            name = ModuleName(module)
            yield Import(ModuleName(entry.name), name, 0, ImportContext.PICKLED, qualname=qualname)
    with batch():
        for module, record in modules.items():
            try:
                facts = scan(
                    archive.read(record), module, is_package=record.endswith("/__init__.py"), file=record
                )
            except SyntaxError:  # of another Python
                continue
            yield from facts.imports
            yield from (edge for edge in facts.candidates if edge.imported in modules)


@dataclass(frozen=True, slots=True)
class Reason:
    """Where a module is, and which imports lead to it."""

    where: Literal["inside", "outside", "mocked", "hidden", "built in", "nowhere"]
    words: str
    """The same as a sentence."""
    chain: tuple[str, ...]
    """One line for each import, with file and line; empty if no source shows one."""


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
    graph = packed_imports(archive, manifest)
    chains = [graph.explain(ModuleName(entry.name), ModuleName(module)) for entry in manifest.entries]
    return Reason(where, words, min(filter(None, chains), key=len, default=()))


def _place_of(
    archive: ArchiveReader | FolderReader, manifest: Manifest, module: str
) -> tuple[Literal["inside", "outside", "mocked", "hidden", "built in", "nowhere"], str]:
    top = module.partition(".")[0]
    if module in manifest.mocks:
        return "mocked", "a stand-in takes its place, as the policy said"
    if module in packed_modules(archive):
        owners = [f"{d.name} {d.version or ''}".strip() for d in manifest.distributions if top in d.roots]
        return "inside", f"inside, part of {' or '.join(owners) or 'what the object needs'}"
    for extern in manifest.externs:
        if any(module == known or top == known.partition(".")[0] for known in extern.modules):
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
