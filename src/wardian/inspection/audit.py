"""What the code of a case could do, read off its sources, bytecode and pickles without running any of it.

It informs, and proves nothing: code that wants to hide what it does can.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from types import CodeType
from typing import Any, Literal

from wardian.archive import ArchiveReader, FolderReader
from wardian.environment import is_stdlib
from wardian.inspection.capabilities import Capability, capability_of, capability_of_method
from wardian.inspection.imports import packed_modules
from wardian.manifest import Manifest
from wardian.names import ModuleName, RecordName, top_level
from wardian.pickling.listing import named_globals
from wardian.rewrite import SHIMMED, compile_module, dump_code
from wardian.source import batch, parse

__all__ = ["Audit", "Finding", "PickledGlobal", "When", "audit"]

When = Literal["import", "reachable", "elsewhere"]
"""When code runs: as its module is imported; when the object is used, as far as names tell; or neither."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place where code could do something beside computing."""

    capability: Capability
    when: When
    record: str
    line: int
    """From 1; 0 where bytecode or a pickle does not tell."""
    name: str
    """Dotted name of what is called or mentioned."""

    def __str__(self) -> str:
        return f"{self.record}:{self.line}: {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class PickledGlobal:
    """A class or function that a pickle names, and so may call."""

    record: str
    module: str
    qualname: str
    where: Literal["inside", "outside", "standard library", "not declared"]
    capability: Capability | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the code of a case could do."""

    findings: tuple[Finding, ...]
    globals: tuple[PickledGlobal, ...]
    unlike: tuple[str, ...]
    """Bytecode records that do not compile from the source beside them."""
    unchecked: tuple[str, ...]
    """Bytecode of another Python, which this one cannot compare."""
    unreadable: tuple[str, ...]
    """Sources that cannot be parsed, and bytecode that cannot be read."""

    def to_plain(self) -> dict[str, Any]:
        """Return the audit as JSON-able data; docs/reference/cli.md has the keys."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "globals": [asdict(found) for found in self.globals],
            "unlike": list(self.unlike),
            "unchecked": list(self.unchecked),
            "unreadable": list(self.unreadable),
        }


def audit(archive: ArchiveReader | FolderReader, manifest: Manifest) -> Audit:
    """Look for what the code of an archive could do.

    Args:
        archive: An open case, or an archive of torch.package.
        manifest: What it says about itself.

    Returns:
        All findings, sorted.

    Raises:
        CorruptCaseError: if a record is damaged.
    """
    modules = packed_modules(archive)
    named = tuple(_pickled(archive, manifest, modules))
    units: list[_Unit] = []
    unreadable: list[str] = []
    sources: dict[ModuleName, bytes] = {}
    with batch():
        for module, record in modules.items():
            sources[module] = archive.read(record)
            try:
                units += _units_of(parse(sources[module], record), record)
            except SyntaxError:
                unreadable.append(record)
    reachable = _reachable(units, named)
    findings = {
        Finding(
            capability,
            unit.when or ("reachable" if unit in reachable else "elsewhere"),
            unit.record,
            line,
            name,
        )
        for unit in units
        for capability, line, name in unit.uses
    }
    unlike: list[str] = []
    unchecked: list[str] = []
    for record in archive.names:
        if not record.startswith(".wardian/bytecode/"):
            continue
        tag, _, path = record.removeprefix(".wardian/bytecode/").partition("/")
        name = path.removesuffix(".pyc")
        source = RecordName(f"{name}.py")
        if tag != sys.implementation.cache_tag:
            unchecked.append(record)
        elif source in archive:
            module = ModuleName(name.removesuffix("/__init__").replace("/", "."))
            if not _compiles_from(archive.read(record), archive.read(source), module, source, manifest.roots):
                unlike.append(record)
        else:
            try:
                code = marshal.loads(archive.read(record)[16:])  # noqa: S302  it makes code and runs none
                findings |= set(_uses_of_code(code, record))
            except (ValueError, EOFError, TypeError):
                unreadable.append(record)
    return Audit(
        findings=tuple(sorted(findings)),
        globals=named,
        unlike=tuple(unlike),
        unchecked=tuple(unchecked),
        unreadable=tuple(unreadable),
    )


def _pickled(
    archive: ArchiveReader | FolderReader, manifest: Manifest, modules: Iterable[str]
) -> Iterator[PickledGlobal]:
    inside = {*modules, *manifest.roots}
    outside = {module.partition(".")[0] for extern in manifest.externs for module in extern.modules} | {
        "torch"
    }
    records = [r for e in manifest.entries for r in (e.record, e.test) if r is not None]
    for record in dict.fromkeys(records):
        for module, qualname in named_globals(archive.read(RecordName(record))):
            where: Literal["inside", "outside", "standard library", "not declared"]
            top = top_level(ModuleName(module))
            if module in inside or top in inside:
                where = "inside"
            elif top in outside:
                where = "outside"
            else:
                where = "standard library" if is_stdlib(ModuleName(module)) else "not declared"
            plain = "builtins" if module == "__builtin__" else module
            found = None if where == "inside" else capability_of(f"{plain}.{qualname}")
            yield PickledGlobal(
                record, module, qualname, where, found or _OF_PICKLES.get(f"{plain}.{qualname}")
            )


_OF_PICKLES = {
    **dict.fromkeys(("builtins.getattr", "builtins.setattr", "operator.attrgetter"), Capability.CODE),
    **dict.fromkeys(("operator.methodcaller", "functools.reduce", "builtins.map"), Capability.CODE),
    "builtins.open": Capability.READS,
    "io.open": Capability.READS,
}
"""Functions by which a pickle, which has no code of its own, gets at other functions, or at files."""


class _Unit:
    """A function, or what of a module runs when it is imported."""

    def __init__(self, record: str, name: str, owner: str, when: When | None) -> None:
        self.record = record
        self.name = name
        """Of the function; empty for the module."""
        self.owner = owner
        """Name of the class that it is a method of; empty without."""
        self.when = when
        self.mentions: set[str] = set()
        self.uses: set[tuple[Capability, int, str]] = set()


def _units_of(tree: ast.Module, record: str) -> Iterator[_Unit]:
    reader = _Reader(record, _aliases(tree))
    reader.visit(tree)
    return iter(reader.units)


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Return what the names stand for that imports bind, wherever in the module."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


_BUILTINS = frozenset({"exec", "eval", "compile", "__import__", "breakpoint"})


class _Reader(ast.NodeVisitor):
    """Divide a module into units, each with what it mentions and what it could do."""

    def __init__(self, record: str, aliases: dict[str, str]) -> None:
        self._record = record
        self._aliases = aliases
        self._owner = ""
        self._unit = _Unit(record, "", "", "import")
        self.units = [self._unit]

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        # Decorators and defaults run where the function is defined. What annotations name does nothing.
        arguments = node.args
        for part in (*node.decorator_list, *arguments.defaults, *arguments.kw_defaults):
            if part is not None:
                self.visit(part)
        outer, owner = self._unit, self._owner
        self._unit = _Unit(self._record, node.name, owner, None)
        self._owner = ""
        self.units.append(self._unit)
        if outer.name:  # a function inside of one is there when the outer one runs
            outer.mentions.add(node.name)
        for statement in node.body:
            self.visit(statement)
        self._unit, self._owner = outer, owner

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  the name that ast.NodeVisitor asks for

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        owner, self._owner = self._owner, node.name
        for statement in node.body:
            self.visit(statement)
        self._owner = owner

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        self._unit.mentions.add(node.id)
        if isinstance(node.ctx, ast.Load):
            if node.id in self._aliases:
                self._use(self._aliases[node.id], node.lineno)
            elif node.id in _BUILTINS:
                self._use(f"builtins.{node.id}", node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._unit.mentions.add(node.attr)
        name = self._dotted(node)
        if name is not None:
            self._use(name, node.lineno)
        elif (capability := capability_of_method(node.attr)) is not None:
            self._unit.uses.add((capability, node.lineno, f"?.{node.attr}"))
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "open" and "open" not in self._aliases:
            self._unit.uses.add((_of_open(node), node.lineno, "open"))
        name = self._dotted(node)
        if name is not None:  # getattr(os, "system")
            self._use(name, node.lineno)
        self.generic_visit(node)

    def _use(self, name: str, line: int) -> None:
        capability = capability_of(name)
        if capability is not None:
            self._unit.uses.add((capability, line, name))

    def _dotted(self, node: ast.expr) -> str | None:
        """Return what an expression stands for, if it is a chain of attributes that begins at an import."""
        match node:
            case ast.Name(id=name):
                return self._aliases.get(name)
            case ast.Attribute(value=value, attr=attribute):
                above = self._dotted(value)
                return None if above is None else f"{above}.{attribute}"
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(attribute)), *_]):
                above = self._dotted(value)
                return None if above is None else f"{above}.{attribute}"
            case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]):
                imports = isinstance(function, ast.Name) and function.id == "__import__"
                if imports or self._dotted(function) == "importlib.import_module":
                    return module
        return None


def _of_open(node: ast.Call) -> Capability:
    given = (
        node.args[1]
        if len(node.args) > 1
        else next((k.value for k in node.keywords if k.arg == "mode"), None)
    )
    if given is None:
        return Capability.READS
    mode = given.value if isinstance(given, ast.Constant) else None
    return Capability.READS if isinstance(mode, str) and set(mode) <= set("rbtU") else Capability.WRITES


def _reachable(units: Iterable[_Unit], named: Iterable[PickledGlobal]) -> set[_Unit]:
    """Return the functions that the objects of the pickles could call, by their names.

    A function is taken for reachable if code that is, or that runs at import, mentions its name anywhere. A
    class of which a name is mentioned has all its special methods called; one that a pickle names, all.
    """
    by_name: dict[str, list[_Unit]] = {}
    for unit in units:
        by_name.setdefault(unit.name, []).append(unit)
        if unit.owner:
            by_name.setdefault(f"{unit.owner}.", []).append(unit)
    held = {found.qualname.partition(".")[0] for found in named}
    reached: set[_Unit] = set()
    queue = [unit for unit in units if unit.when == "import"]
    queue += [unit for name in held for unit in (*by_name.get(name, ()), *by_name.get(f"{name}.", ()))]
    seen: set[str] = set()
    while queue:
        unit = queue.pop()
        if unit in reached:
            continue
        reached.add(unit)
        for name in unit.mentions - seen:
            seen.add(name)
            queue += by_name.get(name, ())
            queue += [
                u for u in by_name.get(f"{name}.", ()) if u.name.startswith("__") or u.name == "forward"
            ]
    return reached


def _compiles_from(
    bytecode: bytes, source: bytes, module: ModuleName, record: RecordName, roots: frozenset[str]
) -> bool:
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
    return bytecode[8:16] == importlib.util.source_hash(source) and bytecode[16:] == dump_code(code)


def _uses_of_code(code: CodeType, record: str) -> Iterator[Finding]:
    """Yield what bytecode without source could do: names that it mentions, joined as they stand."""
    names = code.co_names
    for index, name in enumerate(names):
        candidates = (f"builtins.{name}", name, ".".join(names[max(0, index - 1) : index + 1]))
        for candidate in candidates:
            capability = capability_of(candidate) or (
                capability_of(f"{candidate}.x") if candidate == name else None
            )
            if capability is not None:
                yield Finding(capability, "elsewhere", record, code.co_firstlineno, candidate)
                break
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _uses_of_code(constant, record)
