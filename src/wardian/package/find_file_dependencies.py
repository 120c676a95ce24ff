"""What a source imports."""

from __future__ import annotations

import ast
import re

from wardian.graph import ImportContext
from wardian.names import ModuleName
from wardian.source import SourceFacts, parse, scan

__all__ = ["check_levels", "find_files_source_depends_on", "imports_of"]

_CLIMBS = re.compile(rb"from\b[\s\\]*((?:\.[\s\\]*)+)")
"""The dots of a relative import."""


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
    source, file, name = src.encode(), "<source>", ModuleName(package)
    tree = parse(source, file)
    try:
        check_levels(tree, source, file, name, is_package=True)
    except SyntaxError as error:
        raise ValueError(error.msg) from error
    return list(imports_of(scan(source, name, is_package=True, file=file, tree=tree)))


def check_levels(tree: ast.Module, source: bytes, file: str, module: ModuleName, *, is_package: bool) -> None:
    """Refuse a relative import that climbs above everything, which the scanner passes over.

    Raises:
        SyntaxError: if there is one; it has the line.
    """
    depth = max(module.count(".") + is_package, 1)
    if all(match[1].count(b".") <= depth for match in _CLIMBS.finditer(source)):
        return  # what most sources are; only a tree tells code from text
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level > depth:
            # The words of CPython's ImportError.
            where = (file, node.lineno, node.col_offset + 1, None)
            raise SyntaxError("attempted relative import beyond top-level package", where)


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
