"""Which packed module asks for what an environment lacks, by the sources of the case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wardian.archive import ArchiveReader, FolderReader, ParsingBudget
from wardian.domain.graph import Import, ImportContext
from wardian.domain.names import ModuleName, top_level
from wardian.errors import Problem
from wardian.source.scanning import scan

__all__ = ["with_importers"]


def with_importers(problems: Iterable[Problem], archive: ArchiveReader | FolderReader) -> tuple[Problem, ...]:
    """Return problems, each with the import of a packed module that asks for it, if a source shows one."""
    found = list(problems)
    wanted = _find_imports(archive, {top_level(p.module) for p in found if p.module})
    return tuple(replace(problem, chain=_chain(problem, wanted)) for problem in found)


def _chain(problem: Problem, wanted: Mapping[str, Import]) -> tuple[str, ...]:
    found = wanted.get(top_level(ModuleName(problem.module or "")))
    return problem.chain if found is None else (f"{found}",)


def _find_imports(archive: ArchiveReader | FolderReader, names: Iterable[str]) -> dict[str, Import]:
    """Return an import of each top-level name in packed sources, if possible one that must succeed."""
    tops = frozenset(names)
    found: dict[str, Import] = {}
    budget = ParsingBudget(archive)
    for record in archive.names if tops else ():
        if not record.endswith(".py") or record.startswith("."):
            continue
        source = budget.read(record)
        if source is None or not any(top.encode() in source for top in tops):
            continue
        is_package = record.endswith("/__init__.py")
        name = record.removesuffix("/__init__.py" if is_package else ".py").replace("/", ".")
        try:
            facts = scan(source, ModuleName(name), is_package=is_package, file=record)
        except SyntaxError:
            continue
        for edge in facts.imports:
            top = top_level(edge.imported)
            if top in tops and (top not in found or _rank(edge) < _rank(found[top])):
                found[top] = edge
    return found


def _rank(edge: Import) -> int:
    return list(ImportContext).index(edge.context)
