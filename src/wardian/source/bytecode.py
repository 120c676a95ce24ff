"""Facts that bytecode without source shows."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator

from wardian.domain.graph import Import, ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts

__all__ = ["scan_code"]


def scan_code(code: types.CodeType, module: ModuleName, *, is_package: bool, file: str) -> SourceFacts:
    """Find the imports of a compiled module, as `wardian.source.scanning.scan` does for source.

    Args:
        code: Of the module.
        module: Its dotted name.
        is_package: Whether it is the `__init__` of a package.
        file: Path to name with what is found.
    """
    package = module if is_package else module.rpartition(".")[0]
    imports: dict[Import, None] = {}
    candidates: dict[Import, None] = {}
    for name, level, names, line, is_top in _imports(code, top=True):
        base = name
        if level:
            parts = package.split(".")
            above = ".".join(parts[: len(parts) - level + 1])
            base = f"{above}.{name}" if name and above else above or name
        # A `try` cannot be told from bytecode of every version; what is missing shows in the run.
        context = ImportContext.GUARDED if is_top else ImportContext.FUNCTION
        if base:
            imports[Import(module, ModuleName(base), line, context, file)] = None
        for each in names:
            if each != "*":
                candidates[Import(module, ModuleName(f"{base}.{each}"), line, context, file)] = None
    return SourceFacts(
        imports=tuple(imports),
        candidates=tuple(candidates),
        looks_at_files=True,
        dynamic=False,
        operators=frozenset(),
        registers=False,
    )


def _imports(code: types.CodeType, *, top: bool) -> Iterator[tuple[str, int, tuple[str, ...], int, bool]]:
    before: list[object] = [0, None]
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        if instruction.starts_line is not None:
            position = instruction.positions
            line = (position.lineno if position is not None else None) or line
        if instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            before = [before[-1], instruction.argval]
        elif instruction.opname == "IMPORT_NAME":
            level, names = before
            yield (
                str(instruction.argval),
                level if isinstance(level, int) else 0,
                names if isinstance(names, tuple) else (),
                line,
                top,
            )
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant, top=False)
