"""The edges that lead from one module to others."""

from __future__ import annotations

from wardian.domain.graph import Import, ImportContext
from wardian.domain.names import ModuleName, is_module_name

__all__ = ["Edges", "absolute_name"]


class Edges:
    """Gather what one module imports, each edge once; what is no name of a module is left out.

    Args:
        module: The module.
        file: Path to name in the edges.
    """

    def __init__(self, module: ModuleName, file: str) -> None:
        self._module = module
        self._file = file
        self._imports: dict[Import, None] = {}
        self._candidates: dict[Import, None] = {}
        self._walks: dict[Import, None] = {}

    def add_import(self, name: str, line: int, context: ImportContext) -> None:
        """Add a module that is imported."""
        self._add(self._imports, name, line, context)

    def add_candidate(self, name: str, line: int, context: ImportContext) -> None:
        """Add what may be a module, or an attribute of one."""
        self._add(self._candidates, name, line, context)

    def add_walk(self, package: str, line: int, context: ImportContext) -> None:
        """Add a package of which any module may be imported."""
        self._add(self._walks, package, line, context)

    @property
    def imports(self) -> tuple[Import, ...]:
        """The modules that are imported, by line."""
        return _by_line(self._imports)

    @property
    def candidates(self) -> tuple[Import, ...]:
        """The names that may be modules, by line."""
        return _by_line(self._candidates)

    @property
    def walks(self) -> tuple[Import, ...]:
        """Packages of which any module may be imported, by line."""
        return _by_line(self._walks)

    def _add(self, edges: dict[Import, None], name: str, line: int, context: ImportContext) -> None:
        if is_module_name(name):
            edges[Import(self._module, ModuleName(name), line, context, self._file)] = None


def absolute_name(name: str, level: int, package: str) -> str | None:
    """Return the absolute name of a relative import, or None if it climbs too high.

    >>> absolute_name("layers", 2, "mylib.nets"), absolute_name("layers", 3, "mylib.nets")
    ('mylib.layers', None)
    """
    if not level:
        return name
    parts = package.split(".") if package else []
    if level > len(parts):
        return None
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{name}" if name else base


def _by_line(edges: dict[Import, None]) -> tuple[Import, ...]:
    return tuple(sorted(edges, key=lambda edge: edge.line))
