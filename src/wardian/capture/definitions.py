"""Source that defines one global of a script: an import, a constant or the statement that made it."""

from __future__ import annotations

import ast
import contextvars
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wardian.capture.homes import OWN_PATH, import_as, importable, is_bound_by_import, look_up
from wardian.capture.literals import is_cheap, literal_of, value_written
from wardian.capture.replaced_values import ReplacedValues
from wardian.capture.script import Script
from wardian.capture.statements import Binding, annotation_names
from wardian.capture.texts import first_line, span_of, verbatim
from wardian.capture.usage import Usage, find_usage
from wardian.domain.names import ModuleName, top_level
from wardian.environment.modules import is_instance, is_module

__all__ = ["Definer", "Definition", "Piece", "STATEMENT"]

STATEMENT = 2
"""Rank of what is defined by a statement that is neither an import nor a constant."""

_NOTHING = Usage(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Piece:
    """Source of one statement of a synthesised module."""

    source: str
    file: str
    """Where it comes from; empty for what was made up."""
    line: int


@dataclass(frozen=True, slots=True)
class Definition:
    """The statements that define one global."""

    rank: int
    """Imports first, then constants, then what uses them."""
    order: tuple[int, int, int]
    pieces: tuple[Piece, ...]
    usage: Usage
    bases: frozenset[str] = frozenset()
    """Names of classes that are only derived from, of which no code runs at once."""


class Definer:
    """Writes definitions of globals of one script.

    Args:
        script: The script.
        rename: Returns the name that a module has in the case, and may note that it is needed there.
        module_of: Returns the name of the synthesised module that stands for a module, None for one that is
            imported.
        replaced: Told of what the definitions cannot give, and leaves it out of them.
    """

    def __init__(
        self,
        script: Script,
        rename: Callable[[str], ModuleName],
        module_of: Callable[[types.ModuleType], ModuleName | None],
        replaced: ReplacedValues,
    ) -> None:
        self._script, self._rename, self._module_of, self._replaced = script, rename, module_of, replaced

    def define(self, name: str, value: Any) -> Definition | None:
        """Return how *name* is defined in source; None if it is taken by value."""
        if is_module(value):
            return self._from_module(name, value)
        literal = literal_of(value)
        if literal is not None:
            return self._from_constant(name, value, literal)
        found = self._import_from(name, value)
        if found is not None:
            return found
        if is_instance(value, contextvars.ContextVar) and (made := self._script.assignment(name)) is not None:
            return self.from_statement(name, made)
        binding = self._script.binding_of(name, value)
        if binding is None or (is_instance(value, types.FunctionType) and self._is_decorated_late(binding)):
            return None
        return self.from_statement(name, binding)

    def _is_decorated_late(self, binding: Binding) -> bool:
        """Tell whether a decorator needs what is only there when the object is loaded."""
        decorators: list[ast.expr] = getattr(binding.node, "decorator_list", [])
        return any(self._script.needs_values(binding.text, decorator) for decorator in decorators)

    def _from_module(self, name: str, module: types.ModuleType) -> Definition:
        lines = []
        order = (0, 0, 0)
        place = ("", 0)
        for binding in self._script.statements.bindings(name):
            if not isinstance(binding.node, ast.Import):
                continue
            for alias in binding.node.names:
                bound = alias.asname or top_level(alias.name)
                target = alias.name if alias.asname else bound
                # Packed code has its own version of `sys`, and of some others, which an import gives it.
                same = sys.modules.get(self._script.live_name(target)) is module or module.__name__ == target
                if bound == name and same:
                    lines.append(f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
                    order, place = binding.order, (binding.text.file, binding.node.lineno)
        captured = self._module_of(module)
        if captured is not None:
            lines = [import_as(captured, name)]
        own = self._rename(module.__name__)
        if not lines and is_bound_by_import(module, own.count(".")):
            lines = [import_as(own, name)]
        lines = lines or [f"{name} = __import__({own!r}, fromlist=['__name__'])"]
        pieces = tuple(Piece(f"{line}\n", *place) for line in dict.fromkeys(lines))
        return Definition(0, order, pieces, _NOTHING)

    def _import_from(self, name: str, value: Any) -> Definition | None:
        for binding in (
            *reversed(self._script.statements.bindings(name)),
            *reversed(self._script.statements.bindings("*")),
        ):
            node = binding.node
            if not isinstance(node, ast.ImportFrom):
                continue
            module = self._script.absolute(node.module, node.level)
            for alias in node.names:
                wanted = name if alias.name == "*" else alias.name
                if (alias.asname or wanted) != name:
                    continue
                try:
                    if look_up(self._script.live_name(module), wanted) is value:
                        own = self._rename(self._script.live_name(module))
                        return self._from_name(name, own, wanted, binding)
                except AttributeError:
                    continue
        if is_instance(value, type | types.FunctionType):
            found = importable(value)
            if found is not None:
                return self._from_name(name, self._rename(found[0]), found[1], None)
        return None

    def _from_name(self, name: str, module: str, path: str, binding: Binding | None) -> Definition:
        """Return the import that binds *name*; *binding* is that of the script, None if it has none."""
        if binding is None and (module, path) == OWN_PATH:
            # Of `class Folder(type(pathlib.Path()))`: each platform has its own, and cannot make the other.
            line = import_as(module, name, "Path")
            return Definition(0, (0, 0, 0), (Piece(f"{line}\n{name} = type({name}())\n", "", 0),), _NOTHING)
        first, _, rest = path.partition(".")
        line = import_as(module, name, first)
        source = f"{line}\n" + (f"{name} = {name}.{rest}\n" if rest else "")
        if binding is None:
            return Definition(0, (0, 0, 0), (Piece(source, "", 0),), _NOTHING)
        piece = Piece(source, binding.text.file, binding.node.lineno)
        return Definition(0, binding.order, (piece,), _NOTHING)

    def _from_constant(self, name: str, value: Any, literal: str) -> Definition:
        for binding in reversed(self._script.statements.bindings(name)):
            node = binding.node
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                written = value_written(node.value)
                if type(written) is type(value) and repr(written) == repr(value):
                    piece = Piece(verbatim(binding.text, node, []), binding.text.file, first_line(node))
                    return Definition(1, binding.order, (piece,), _NOTHING)
                break
        bindings = self._script.statements.bindings(name)
        place = (bindings[-1].text.file, bindings[-1].node.lineno) if bindings else ("", 0)
        order = bindings[-1].order if bindings else (0, 0, 0)
        return Definition(1, order, (Piece(f"{name} = {literal}\n", *place),), _NOTHING)

    def from_statement(self, name: str, binding: Binding) -> Definition:
        """Return how the statement *binding* defines *name*, without the values that are set later."""
        text, node = binding.text, binding.node
        edits = self._script.absolute_imports(text, node)
        value = self._script.variables.get(name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            edits += self._replaced.leave_out_defaults(name, value, text, node)
            if is_instance(value, types.FunctionType):
                self._replaced.set_attributes(name, value, node)
        imports: list[Piece] = []
        if isinstance(node, ast.ClassDef) and is_instance(value, type):
            edits += self._replaced.leave_out_members(name, value, text, node)
            for expression, place, imported in self._computed_bases(name, value, node):
                edits.append((span_of(expression), place))
                imports.append(Piece(imported, "", 0))
        source = verbatim(text, node, edits)
        usage = find_usage(source)
        annotations = frozenset(annotation_names(node)) & frozenset(
            name for name, value in self._script.variables.items() if is_cheap(value)
        )
        usage = Usage(usage.at_once, usage.later | annotations)
        piece = Piece(source, text.file, first_line(node))
        bases = frozenset(self._plain_bases(node))
        cases = [self.from_statement(name, case) for case in self._script.earlier_cases(name, binding)]
        if cases:
            parts = [usage, *(case.usage for case in cases)]
            usage = Usage(
                frozenset().union(*(part.at_once for part in parts)),
                frozenset().union(*(part.later for part in parts)),
            )
            imports = [piece for case in cases for piece in case.pieces]
        return Definition(STATEMENT, binding.order, (*imports, piece), usage, bases)

    def _computed_bases(
        self, name: str, cls: type, node: ast.ClassDef
    ) -> Iterator[tuple[ast.expr, str, str]]:
        """Yield base classes that a call gave, as `class Net(type(model))`, if an import finds them, too.

        The call needs what the script made: the object that is packed, as like as not.

        Yields:
            The expression, a name that takes its place, and the import that binds that.
        """
        if len(node.bases) != len(cls.__bases__):
            return
        for number, (expression, base) in enumerate(zip(node.bases, cls.__bases__, strict=True), 1):
            known = isinstance(expression, ast.Name) and self._script.is_synthesised(expression.id)
            found = importable(base) if known or isinstance(expression, ast.Call) else None
            if found is not None and type(base) is type(cls):
                place = f"captured_{name}_base_{number}"
                imported = self._from_name(place, self._rename(found[0]), found[1], None)
                yield expression, place, imported.pieces[0].source

    def _plain_bases(self, node: ast.stmt) -> Iterator[str]:
        """Yield the names of base classes that do nothing when a class is derived from them."""
        for base in getattr(node, "bases", ()):
            value = self._script.variables.get(base.id) if isinstance(base, ast.Name) else None
            if is_instance(value, type) and type(value).__module__ in ("builtins", "abc"):
                mro = [vars(cls) for cls in value.__mro__ if cls.__module__ == self._script.name]
                if not any("__init_subclass__" in members for members in mro):
                    yield base.id
