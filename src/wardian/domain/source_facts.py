"""Facts that a scan of one module's source finds: imports, globals, names."""

from __future__ import annotations

from dataclasses import dataclass

from wardian.domain.graph import Import

__all__ = ["SourceFacts"]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The facts that one module's source shows.

    Attributes:
        imports: Modules that the code imports, by line.
        candidates: Names that `from a.b import c` imports and that may be modules (`a.b.c`) or
            attributes of one, by line. The caller knows which modules exist.
        looks_at_files: The code could look at where it lies: it mentions `__file__`, `__path__`, a
            module's spec or loader, or `inspect.getfile` and its relatives.
        dynamic: The code mentions `__import__`, `exec` or `eval`: it may import what no scan sees.
        operators: The X of each `torch.ops.X` that torch itself does not bring.
        registers: The code calls functions that write into a registry of the process.
        climbs_out: Line of the first `from` import that climbs above all packages; 0 if there is none.
        walks: Packages of which the code may import any module: it computes the last part of a name, or, in
            the `__init__` of a package, what is asked for is imported then (`def __getattr__`).
    """

    imports: tuple[Import, ...]
    candidates: tuple[Import, ...]
    looks_at_files: bool
    dynamic: bool
    operators: frozenset[str]
    registers: bool
    climbs_out: int = 0
    walks: tuple[Import, ...] = ()
