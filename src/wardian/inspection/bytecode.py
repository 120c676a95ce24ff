"""Bytecode: whether it compiles from its source, and what it could do where there is none."""

from __future__ import annotations

import dis
import importlib.util
import inspect
import marshal
from collections.abc import Iterator
from types import CodeType

from wardian.domain.names import SHIMMED, ModuleName, RecordName, top_level
from wardian.inspection.marshalled import check_marshalled
from wardian.inspection.units import ModuleUnits, Unit
from wardian.source.locations import without_columns
from wardian.source.rewriting import compile_module, dump_code

__all__ = ["compiles_from", "units_of_bytecode"]

_HEADER = 16
"""Bytes before the code: magic number, flags, hash of the source."""
_NAMES = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_SILENT = frozenset({"CACHE", "PRECALL", "PUSH_NULL", "RESUME", "NOP", "EXTENDED_ARG", "COPY_FREE_VARS"})


def compiles_from(
    bytecode: bytes, source: bytes, module: ModuleName, record: RecordName, roots: frozenset[str]
) -> bool:
    """Tell whether bytecode of this Python is what Wardian makes of a source, with columns or without.

    Args:
        bytecode: A record, with its header.
        source: The record of the source.
        module: Dotted name of the module.
        record: Name of the record of the source.
        roots: Top-level names of packed modules.
    """
    try:
        code = compile_module(
            source,
            module,
            is_package=record.endswith("/__init__.py"),
            filename=record,
            roots=roots | SHIMMED,
        )
    except SyntaxError:
        return False
    if bytecode[8:_HEADER] != importlib.util.source_hash(source):
        return False
    # Which of the two it has to be is not asked: older files have columns everywhere.
    return bytecode[_HEADER:] in (dump_code(code), dump_code(without_columns(code)))


def units_of_bytecode(bytecode: bytes, module: str, record: str) -> ModuleUnits:
    """Divide a module into units of which only bytecode of this Python is there; none of it runs.

    Names that are loaded and their attributes are read in the order of the instructions, and no values are
    followed: less is found than in sources.

    Args:
        bytecode: A record, with its header.
        module: Dotted name of the module.
        record: Name of the record.

    Raises:
        ValueError: if it is no bytecode.
    """
    try:
        check_marshalled(bytecode[_HEADER:])
        code = marshal.loads(bytecode[_HEADER:])  # noqa: S302  it makes code and runs none
        if not isinstance(code, CodeType):
            raise TypeError("it holds no code")
        found = ModuleUnits(module, record)
        _read(code, found, found.units[0], "", set())
    except (ValueError, EOFError, TypeError, IndexError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError(f"{record} is no bytecode: {error}") from error
    return found


def _read(code: CodeType, found: ModuleUnits, unit: Unit, owner: str, seen: set[int]) -> None:
    _instructions(code, found, unit)
    for constant in code.co_consts:
        # One that is there twice at each of forty levels would be met for ever.
        if not isinstance(constant, CodeType) or id(constant) in seen:
            continue
        seen.add(id(constant))
        name = constant.co_name
        if name.startswith("<") and name != "<lambda>":  # a comprehension, which runs in place
            _read(constant, found, unit, owner, seen)
        elif not constant.co_flags & inspect.CO_OPTIMIZED:  # the body of a class
            _read(constant, found, unit, name, seen)
        else:
            if name == "<lambda>":
                name = f"<lambda of line {constant.co_firstlineno} of {unit.record}>"
            if unit.name or name.startswith("<"):
                unit.mentions.add(name)
            inner = Unit(unit.record, name, owner)
            found.units.append(inner)
            _read(constant, found, inner, "", seen)


def _instructions(code: CodeType, found: ModuleUnits, unit: Unit) -> None:
    chain: str | None = None
    loaded: list[tuple[str, object]] = []  # the last names and constants, for calls
    module, from_module = "", ""
    for instruction, line in _numbered(code):
        kind, value = instruction.opname, instruction.argval
        if kind in _SILENT:
            continue
        if kind.startswith(_NAMES) and isinstance(value, str):
            chain = value
            loaded.append(("name", chain))
            unit.mentions.add(value)
            unit.names.add((chain, line))
        elif kind in _ATTRIBUTES:
            unit.mentions.add(str(value))
            if chain is not None:
                chain = f"{chain}.{value}"
                loaded.append(("name", chain))
                unit.names.add((chain, line))
        elif kind == "LOAD_CONST":
            chain = None
            loaded.append(("constant", value))
            if isinstance(value, str) and value.isidentifier():
                unit.mentions.add(value)
        elif kind == "IMPORT_NAME":
            level = loaded[-2][1] if len(loaded) > 1 else 0
            from_module = _absolute(found, str(value), level if isinstance(level, int) else 0)
            module = top_level(from_module) if loaded and loaded[-1][1] is None else from_module
            chain = None
        elif kind == "IMPORT_FROM":
            module = (
                f"{from_module}.{value}" if module != from_module or loaded[-1][1] is not None else module
            )
        elif kind.startswith("STORE_") and module:
            found.imported[str(value)] = f".{module}"
            module = from_module if kind != "STORE_NAME" or loaded[-1:] != [("constant", None)] else ""
        elif kind.startswith("CALL"):
            chain = _called(loaded, unit, line, instruction.arg or 0)
        else:
            chain = None


def _numbered(code: CodeType) -> Iterator[tuple[dis.Instruction, int]]:
    for instruction in dis.get_instructions(code):
        positions = instruction.positions
        yield instruction, (positions.lineno if positions is not None else None) or code.co_firstlineno


def _absolute(found: ModuleUnits, name: str, level: int) -> str:
    if level <= 0:
        return name
    is_package = found.units[0].record.endswith("/__init__.pyc")
    above = found.module.split(".")
    above = above[: len(above) - level + is_package]
    return ".".join([*above, name] if name else above)


def _called(loaded: list[tuple[str, object]], unit: Unit, line: int, count: int) -> str | None:
    """Note what a call with constants means; return the name of the module that it imports, if it does."""
    match loaded[-3:]:
        case [*_, ("name", "__import__" | "importlib.import_module"), ("constant", str(module))]:
            return f".{module}"
        case [("name", "getattr"), ("name", str(above)), ("constant", str(attribute))]:
            unit.names.add((f"{above}.{attribute}", line))
            return f"{above}.{attribute}"
        case [("name", "open"), *_, ("constant", str(mode))] if count > 1:
            unit.opened.add(("", mode, line))
        case [*_, ("name", "open"), _] if count == 1:
            unit.opened.add(("", "r", line))
    return None
