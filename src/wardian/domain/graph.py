"""Imports between modules, each with the line that caused it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from wardian.domain.global_refs import GlobalRef
from wardian.domain.names import ModuleName

__all__ = ["Import", "ImportContext", "ImportGraph", "ImportsByNeed", "sorted_imports"]


class ImportContext(StrEnum):
    """Where an import stands, which decides when it happens."""

    UNCONDITIONAL = "unconditional"
    """At module or class level: happens when the module is imported."""
    GUARDED = "guarded"
    """In a `try` that handles ImportError, or under an `if`: may fail or never happen."""
    FUNCTION = "function"
    """In a function: happens when it is called."""
    TYPE_CHECKING = "type-checking"
    """Under `if TYPE_CHECKING:`: never happens."""
    OBSERVED = "observed"
    """Seen while the object was loaded or run; nothing in the source shows it."""
    PICKLED = "pickled"
    """Named by the pickle of the object."""


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One import statement, or one observed import."""

    importer: ModuleName
    """The importing module; for PICKLED the name of the entry point."""
    imported: ModuleName
    line: int
    """Line number in the importer's source, from 1; 0 if not known."""
    context: ImportContext
    file: str = ""
    """Path of the importer's source, or for PICKLED where in the object (`model.encoder`), if known."""
    qualname: str = ""
    """For PICKLED what the pickle names in the module."""

    def __str__(self) -> str:
        if self.context is ImportContext.PICKLED:
            named = GlobalRef(self.imported, self.qualname)
            return (
                f"{self.file} is a {named}" if self.file else f"the pickle of {self.importer} names {named}"
            )
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file or str(self.importer)
        return f"{place}: {self.importer} imports {self.imported} ({self.context})"


def sorted_imports(imports: Iterable[Import]) -> tuple[Import, ...]:
    """Return each of some imports once, in their order.

    >>> a, b = (ModuleName(name) for name in "ab")
    >>> one, other = (Import(x, y, 1, ImportContext.FUNCTION) for x, y in ((a, b), (b, a)))
    >>> sorted_imports([other, one, other]) == (one, other)
    True
    """
    # Tuples are compared in C, objects by a function of Python.
    return tuple(sorted(set(imports), key=attrgetter(*Import.__match_args__)))


class ImportGraph:
    """A set of imports that can be asked for chains.

    Equal sets of imports make equal graphs, whatever their order.
    """

    def __init__(self, imports: Iterable[Import]) -> None:
        self._imports = sorted_imports(imports)
        self._from: dict[ModuleName, list[Import]] = {}
        for edge in self._imports:
            self._from.setdefault(edge.importer, []).append(edge)

    def __iter__(self) -> Iterator[Import]:
        return iter(self._imports)

    def __len__(self) -> int:
        return len(self._imports)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImportGraph) and self._imports == other._imports

    __hash__ = None  # type: ignore[assignment]

    def find_imports_by(self, importer: ModuleName) -> list[Import]:
        """Return what *importer* imports, sorted."""
        return list(self._from.get(importer, ()))

    def find_shortest_chain(self, sources: Iterable[ModuleName], target: ModuleName) -> list[Import]:
        """Return the imports that lead from one of *sources* to *target*.

        Args:
            sources: Where a chain may begin.
            target: Where it ends.

        Returns:
            The shortest chain; of equally short ones the one that sorts first. Empty if there is none.
        """
        came_by = self.find_last_steps(sources, target)
        chain: list[Import] = []
        step = came_by.get(target)
        while step is not None:
            chain.append(step)
            step = came_by[step.importer]
        return chain[::-1]

    def find_last_steps(
        self, sources: Iterable[ModuleName], target: ModuleName | None = None
    ) -> dict[ModuleName, Import | None]:
        """Return the last import of the shortest chain to every module that one of *sources* leads to.

        Args:
            sources: Where chains begin.
            target: The module that is looked for, to stop when it is found; None finds all.

        Returns:
            Module → import; None for the sources.
        """
        came_by: dict[ModuleName, Import | None] = dict.fromkeys(sorted(sources))
        queue = deque(came_by)
        while queue and target not in came_by:
            for edge in self.find_imports_by(queue.popleft()):
                if edge.context is not ImportContext.TYPE_CHECKING and edge.imported not in came_by:
                    came_by[edge.imported] = edge
                    queue.append(edge.imported)
                    if edge.imported == target:
                        break
        return came_by

    def explain(self, source: ModuleName, target: ModuleName) -> tuple[str, ...]:
        """Return how *source* leads to *target*, one line per step; empty if no import shows it.

        A package that no import names is there for the module below it that *source* reaches first.
        """
        steps = self.find_shortest_chain([source], target)
        if steps:
            return tuple(map(str, steps))
        edges = (edge for found in self._from.values() for edge in found)
        below = sorted({e.imported for e in edges if e.imported.startswith(f"{target}.")})
        chains = [chain for name in below if (chain := self.find_shortest_chain([source], name))]
        if not chains:
            return ()
        shortest = min(chains, key=len)
        return (*map(str, shortest), f"{target} is the package of {shortest[-1].imported}")


class ImportsByNeed(ImportGraph):
    """A graph whose modules are read when their imports are asked for, for a question about one of them.

    Args:
        read: Returns the imports of a module, in any order.
    """

    def __init__(self, read: Callable[[ModuleName], Iterable[Import]]) -> None:
        super().__init__(())
        self._read = read

    def find_imports_by(self, importer: ModuleName) -> list[Import]:
        """Return what *importer* imports, sorted; it is read once."""
        if importer not in self._from:
            self._from[importer] = list(sorted_imports(self._read(importer)))
        return self._from[importer]
