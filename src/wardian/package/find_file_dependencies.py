"""The imports of a source."""

from __future__ import annotations

from wardian.domain.graph import ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.source.scanning import scan

__all__ = ["BEYOND", "find_files_source_depends_on", "imports_of"]

BEYOND = "attempted relative import beyond top-level package"
"""CPython's words about a relative import that climbs above all packages."""


def find_files_source_depends_on(src: str, package: str) -> list[tuple[str, str | None]]:
    """Return what a source imports.

    Args:
        src: The source.
        package: The package against which its relative imports are resolved.

    Returns:
        Pairs of a module and a name that is imported from it, None where the module itself is imported.

    Raises:
        SyntaxError: if *src* is not valid.
        ValueError: if a relative import climbs above everything.

    >>> find_files_source_depends_on("from mylib import ops; import numpy.linalg", "app")
    [('mylib', 'ops'), ('numpy.linalg', None)]
    """
    facts = scan(src.encode(), ModuleName(package), is_package=True, file="<source>")
    if facts.climbs_out:
        raise ValueError(f"line {facts.climbs_out}: {BEYOND}")
    return list(imports_of(facts))


def imports_of(facts: SourceFacts) -> dict[tuple[str, str | None], None]:
    """Return the pairs of `find_files_source_depends_on`; what only a type checker sees is left out."""
    from_names: dict[tuple[str, int], list[str]] = {}
    for edge in facts.candidates:
        module, _, name = edge.imported.rpartition(".")
        from_names.setdefault((module, edge.line), []).append(name)
    found: dict[tuple[str, str | None], None] = {}
    for edge in facts.imports:
        if edge.context is not ImportContext.TYPE_CHECKING:
            names: list[str | None] = [*from_names.get((edge.imported, edge.line), ())]
            for item in names or [None]:
                found[str(edge.imported), item] = None
    return found
