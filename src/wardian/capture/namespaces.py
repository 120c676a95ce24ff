"""What is taken of a script or notebook: the definitions an object needs and the names those use."""

from __future__ import annotations

import ast
import builtins
import collections
import contextvars
import dataclasses
import functools
import inspect
import math
import os
import re
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from wardian.capture.factories import FACTORY
from wardian.capture.homes import (
    find_path_in,
    import_as,
    importable,
    is_bound_by_import,
    is_importable,
    look_up,
)
from wardian.capture.registrations import find_call
from wardian.capture.statements import (
    Binding,
    Statements,
    annotation_names,
    assigned,
    bound_names,
    decorators_of,
    functions_in,
    holds,
    is_generated,
    is_harmless,
    is_lambda,
    statements,
)
from wardian.capture.texts import Edit, Text, first_line, is_source_of, span_of, verbatim
from wardian.capture.usage import Usage, find_usage
from wardian.environment import is_stdlib
from wardian.names import LIVE_PREFIX, ModuleName, original_name, top_level

__all__ = ["ClosureOf", "Namespace", "Piece"]

_OPERATORS = re.compile(r"""\bops\.(\w+)|["'](\w+)::""")
"""How code names operators: `torch.ops.shop.scale`, "shop::scale"."""

_REGISTERS = re.compile(r"regist|^add")
"""How functions are called that do nothing but note what they are given."""

_LOOK_UP = re.compile(r"\b(globals|eval|exec|vars)\s*\(|\bsys\.modules\b")

_OF_NOBODY = ("torch", "wardian")

_SKIPPED = frozenset(
    {"__annotations__", "__builtins__", "__cached__", "__doc__", "__file__"}
    | {"__loader__", "__name__", "__package__", "__path__", "__spec__"}
)
_TITLE = "What a packed object uses of "
_SYNTHESISED = re.compile("captured_")
"""How the names begin that synthesised modules have beside those of the user."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Source of one statement of a synthesised module."""

    source: str
    file: str
    """Where it comes from; empty for what was made up."""
    line: int


@dataclass(frozen=True, slots=True)
class _Definition:
    rank: int
    """Imports first, then constants, then what uses them."""
    order: tuple[int, int, int]
    pieces: tuple[Piece, ...]
    usage: Usage
    bases: frozenset[str] = frozenset()
    """Names of classes that are only derived from, of which no code runs at once."""


_NOTHING = Usage(frozenset(), frozenset())

_STATEMENT = 2
"""Rank of what is defined by a statement that is neither an import nor a constant."""

_INSTEAD = "instead of the source"
_AFTERWARDS = "after the source has run"
"""How a value is set that the source does not give."""

_UNKNOWN = object()


def _imported(module: types.ModuleType) -> None:
    """Say that an import finds any module."""


_CONTAINERS = (dict, list, set, bytearray, collections.deque)


class ClosureOf(NamedTuple):
    """A variable that a function has from the one around it."""

    function: types.FunctionType
    name: str


@dataclass(eq=False)
class Namespace:
    """The globals of a script, a notebook or executed source, of which some names are taken.

    Attributes:
        variables: The dictionary itself.
        module: The synthesised module it becomes.
    """

    variables: dict[str, Any]
    name_module: Callable[[], ModuleName]
    """Returns a name for the synthesised module, which is asked for when something is taken."""
    rename: Callable[[str], ModuleName] = original_name
    """Returns the name that a module has in the case, and may note that it is needed there."""
    module_of: Callable[[types.ModuleType], ModuleName | None] = _imported
    """Returns the name of the synthesised module that stands for a module, None for one that is imported."""
    definitions: dict[str, _Definition] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    """Names that are taken by value."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Names that could not be taken, with the reason."""
    factories: dict[str, Piece] = field(default_factory=dict)
    repairs: dict[tuple[str, str], tuple[Any, str, Any]] = field(default_factory=dict)
    """What is set when an object is loaded: by (path, attribute) the owner, the attribute and its value."""

    def __post_init__(self) -> None:
        self.statements = Statements(self.variables)
        self._operators: set[str] = set()
        self.looks_up = False
        """Whether something in it looks globals up by names that are values."""
        self.is_held = False
        """Whether something holds it as a module, whatever it takes of it."""

    @property
    def name(self) -> str:
        """Its `__name__`, usually `__main__`."""
        return str(self.variables.get("__name__", ""))

    @property
    def users_name(self) -> str:
        """What the user calls it, the same when what was loaded is packed again."""
        known = self.variables.get("__doc__") if self.name.startswith(LIVE_PREFIX) else None
        if isinstance(known, str) and known.startswith(_TITLE):
            return known.removeprefix(_TITLE).removesuffix(".")
        return original_name(self.name)

    @property
    def title(self) -> str:
        """The docstring of the synthesised module."""
        return f"{_TITLE}{self.users_name}."

    @property
    def package(self) -> str:
        """What relative imports in it are relative to."""
        package = self.variables.get("__package__")
        return package if isinstance(package, str) else ""

    @cached_property
    def module(self) -> ModuleName:
        """The name of the synthesised module."""
        return self.name_module()

    @property
    def is_named(self) -> bool:
        """Tell whether something may be taken already."""
        return "module" in vars(self)

    def modules_used(self) -> Iterator[str]:
        """Yield the names of the modules of which something is taken."""
        for name in self.definitions:
            value = self.variables.get(name)
            module = value if isinstance(value, types.ModuleType) else None
            found = module.__name__ if module is not None else getattr(value, "__module__", None)
            if isinstance(found, str):
                yield found

    # What is taken

    def require(self, name: str) -> None:
        """Take what *name* stands for, and what that uses."""
        todo = [name]
        while todo:
            wanted = todo.pop()
            if wanted in self.definitions or wanted in self.values or wanted in self.rejected:
                continue
            if wanted not in self.variables or wanted in _SKIPPED or self._is_synthesised(wanted):
                continue
            value = self.variables[wanted]
            if getattr(builtins, wanted, self) is value:
                continue
            definition = self._define(wanted, value)
            if definition is None:
                self.values[wanted] = value
            else:
                self.definitions[wanted] = definition
                todo += sorted(definition.usage.at_once | definition.usage.later)
                todo += sorted(self.looked_up("".join(piece.source for piece in definition.pieces)))
        self._require_registrations()

    def require_all(self) -> None:
        """Take all of it."""
        if not self.is_held:
            self.is_held = True
            for name in list(self.variables):
                self.require(name)

    def _is_synthesised(self, name: str) -> bool:
        """Tell whether a loaded synthesised module has *name* for what it makes, and not of the user."""
        of_runtime = getattr(self.variables.get(name), "__module__", None) == self.name.rpartition(".")[0]
        return self.name.startswith(LIVE_PREFIX) and (_SYNTHESISED.match(name) is not None or of_runtime)

    def looked_up(self, source: str) -> Iterator[str]:
        """Yield the functions, classes and constants that *source* looks up by text: `globals()["act"]`."""
        source = source.replace(f"@{FACTORY}(globals())\n", "")
        if not _LOOK_UP.search(source):
            return
        self.looks_up = True
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from filter(self._is_code, re.findall(r"[^\W\d]\w*", node.value))

    def _is_code(self, name: str) -> bool:
        """Tell whether a global is a function or class, or a plain constant."""
        value = self.variables.get(name, self)
        return isinstance(value, type | types.FunctionType) or _literal(value) is not None

    def require_operators(self, namespace: str) -> None:
        """Take the statements that define or change operators of *namespace*, of `torch.ops`."""
        if namespace not in self._operators:
            self._operators.add(namespace)
            self.statements.read()
            self._require_registrations()

    def require_calls(self, registered: Iterable[Any], *, of_any_name: bool = True) -> list[str]:
        """Take the statements that gave what is *registered* to functions of other modules.

        Args:
            registered: Classes and functions.
            of_any_name: Whether these functions may be called anything. What a module may have registered
                itself tells nothing of a statement: that may be `train(Net)`.

        Returns:
            The names that they use.
        """
        wanted = {id(found) for found in registered}
        names = frozenset(name for name, value in self.variables.items() if id(value) in wanted)
        if not names:
            return []
        taken: set[str] = set()
        for binding in self.statements.apart():
            node = binding.node
            function = find_call(node, names, self.variables)
            module = None if function is None else function.__module__
            if function is None or not (
                of_any_name or (_REGISTERS.search(function.__name__) and self._uses_no_values(node))
            ):
                continue
            if module is None or module == self.name or not is_importable(module):
                continue
            own = original_name(module)
            if top_level(own) not in _OF_NOBODY and not is_stdlib(own):
                self._require_statement(binding)
                used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
                taken |= names & used & self.definitions.keys()
        return sorted(taken)

    def _uses_no_values(self, node: ast.stmt) -> bool:
        """Tell whether a statement uses only what is imported, classes, functions and constants."""
        return all(self._is_no_value(inner.id) for inner in ast.walk(node) if isinstance(inner, ast.Name))

    def _is_no_value(self, name: str) -> bool:
        value = self.variables.get(name)
        if isinstance(value, types.ModuleType | type | types.FunctionType) or _literal(value) is not None:
            return True
        made = (self.statements.bindings(name) or self.statements.bindings("*"))[-1:]
        return bool(made) and isinstance(made[0].node, ast.ImportFrom)

    def _require_registrations(self) -> None:
        """Take the statements that register something about what is taken."""
        if not self.statements.registrations:
            return
        pieces = [piece for definition in self.definitions.values() for piece in definition.pieces]
        text = "\n".join(piece.source for piece in (*pieces, *self.factories.values()))
        used = self._operators | {name for pair in _OPERATORS.findall(text) for name in pair}
        wanted = [
            (binding, about)
            for binding, about in self.statements.registrations
            if not about.names.isdisjoint(self.definitions) or not about.operators.isdisjoint(used)
        ]
        if wanted:
            self.statements.registrations = [
                pair for pair in self.statements.registrations if pair not in wanted
            ]
            for binding, _ in wanted:
                self._require_statement(binding)

    def _require_statement(self, binding: Binding) -> None:
        """Take a statement for what it does."""
        for name in bound_names(binding.node):
            value = self.variables.get(name)
            taken = self.binding_of(name, value)
            if taken is not None and taken.node is binding.node:
                self.require(name)
                if name in self.values:  # the statement, which is executed anyway, makes it
                    del self.values[name]
                    self.require_definition(name, binding)
                definition = self.definitions.get(name)
                # Of a decorator that returns None, the name is a constant.
                if definition is not None and definition.rank == _STATEMENT:
                    return
        edits = self.absolute_imports(binding.text, binding.node)
        source = verbatim(binding.text, binding.node, edits)
        usage = find_usage(source)
        piece = Piece(source, binding.text.file, first_line(binding.node))
        # No name can be this.
        self.definitions[f"line {binding.order}"] = _Definition(_STATEMENT, binding.order, (piece,), usage)
        for used in sorted(usage.at_once | usage.later):
            self.require(used)

    def require_definition(self, name: str, binding: Binding) -> None:
        """Take *name* from the statement *binding*."""
        if name not in self.definitions:
            self.definitions[name] = self._statement(name, binding)
            usage = self.definitions[name].usage
            for used in sorted(usage.at_once | usage.later):
                self.require(used)

    def reject(self, name: str, why: str) -> None:
        """Give up to take *name* by value: take the statement that made it, if there is one."""
        del self.values[name]
        binding = self._assignment(name)
        if name in self.definitions:
            return
        if binding is not None and is_harmless(binding.node):
            self.require_definition(name, binding)
        else:
            self.rejected[name] = why

    def settle(self) -> None:
        """Take by statement, too, what is taken by value but is used already when the module is executed."""
        self._require_registrations()
        while True:
            early = self._used_at_once() & self.values.keys() - self.definitions.keys()
            moved = False
            for name in sorted(early):
                binding = self._assignment(name)
                if binding is not None:
                    self.require_definition(name, binding)
                    moved = True
            if not moved:
                return

    def _used_at_once(self) -> set[str]:
        found = {used for d in self.definitions.values() for used in d.usage.at_once}
        todo = {used for d in self.definitions.values() for used in d.usage.at_once - d.bases}
        called: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in called:
                called.add(name)
                if name in self.definitions:
                    usage = self.definitions[name].usage
                    todo |= usage.at_once | usage.later
        return found | called

    def _assignment(self, name: str) -> Binding | None:
        bindings = [
            b for b in self.statements.bindings(name) if isinstance(b.node, ast.Assign | ast.AnnAssign)
        ]
        return bindings[-1] if bindings and bindings[-1].node.value is not None else None  # type: ignore[attr-defined]

    def _define(self, name: str, value: Any) -> _Definition | None:
        """Return how *name* is defined in source; None if it is taken by value."""
        if isinstance(value, types.ModuleType):
            return self._import_module(name, value)
        literal = _literal(value)
        if literal is not None:
            return self._constant(name, value, literal)
        found = self._import_from(name, value)
        if found is not None:
            return found
        if isinstance(value, contextvars.ContextVar) and (made := self._assignment(name)) is not None:
            return self._statement(name, made)
        binding = self.binding_of(name, value)
        if binding is None or (isinstance(value, types.FunctionType) and self._is_decorated_late(binding)):
            return None
        return self._statement(name, binding)

    def _is_decorated_late(self, binding: Binding) -> bool:
        """Tell whether a decorator needs what is only there when the object is loaded."""
        decorators: list[ast.expr] = getattr(binding.node, "decorator_list", [])
        return any(self._needs_values(binding.text, decorator) for decorator in decorators)

    def binding_of(self, name: str, value: Any) -> Binding | None:
        """Return the statement that defined *value*, a function or class, as *name*."""
        bindings = self.statements.bindings(name)
        defs = [
            b for b in bindings if isinstance(b.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        codes = [
            f.__code__
            for f in functions_in(value)
            if f.__globals__ is self.variables and not is_generated(f.__code__)
        ]
        places = {(code.co_filename, code.co_firstlineno) for code in codes}
        fitting = [b for b in defs if holds(b, places)]
        if fitting and all(is_source_of(fitting[-1].text, code) for code in codes):
            if not isinstance(value, type | types.FunctionType):
                fitting += [
                    b for b in defs if self._earlier_cases(name, b)
                ]  # what it wraps may be the first case
            return fitting[-1] if self._has_bases(fitting[-1].node, value) else None
        if codes:
            return self._lambda_binding(bindings, value)
        if defs and bindings[-1] is defs[-1] and self._made_by(defs[-1].node, name, value):
            return defs[-1]
        if bindings and (isinstance(value, type) or type(value).__module__ == "typing"):
            named = getattr(value, "__module__", None) in (self.name, None)
            node = bindings[-1].node
            binds = isinstance(node, ast.Assign) or type(node).__name__ == "TypeAlias"  # of Python 3.12
            return bindings[-1] if named and binds else None
        return None

    def _has_bases(self, node: ast.stmt, cls: Any) -> bool:
        """Tell whether the statement of a class, executed again, finds its bases: not `class Net(Net)`."""
        for base in getattr(node, "bases", ()):
            value = self.variables.get(base.id) if isinstance(base, ast.Name) else None
            if not isinstance(value, type) or not isinstance(cls, type) or value.__module__ != self.name:
                continue
            if value not in cls.__mro__[1:] or self.binding_of(base.id, value) is None:
                return False
        return True

    def _lambda_binding(self, bindings: list[Binding], value: Any) -> Binding | None:
        if not bindings or not is_lambda(bindings[-1].node) or not isinstance(value, types.FunctionType):
            return None
        same = value.__code__.co_firstlineno == bindings[-1].node.value.lineno  # type: ignore[attr-defined]
        known = same and is_source_of(bindings[-1].text, value.__code__)
        return bindings[-1] if known and not value.__closure__ else None

    def _made_by(self, node: ast.stmt, name: str, value: Any) -> bool:
        if isinstance(value, type):
            return value.__module__ in (self.name, "builtins") and value.__name__ == name
        if isinstance(node, ast.ClassDef):  # say, an instance in the place of a decorated class
            return bool(node.decorator_list)
        inner = inspect.unwrap(value) if callable(value) else value
        return isinstance(inner, types.FunctionType) or bool(node.decorator_list)  # type: ignore[attr-defined]

    def _import_module(self, name: str, module: types.ModuleType) -> _Definition:
        lines = []
        order = (0, 0, 0)
        place = ("", 0)
        for binding in self.statements.bindings(name):
            if not isinstance(binding.node, ast.Import):
                continue
            for alias in binding.node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                target = alias.name if alias.asname else bound
                # Packed code has its own version of `sys`, and of some others, which an import gives it.
                same = sys.modules.get(self._live_name(target)) is module or module.__name__ == target
                if bound == name and same:
                    lines.append(f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
                    order, place = binding.order, (binding.text.file, binding.node.lineno)
        captured = self.module_of(module)
        if captured is not None:
            lines = [import_as(captured, name)]
        own = self.rename(module.__name__)
        if not lines and is_bound_by_import(module, own.count(".")):
            lines = [import_as(own, name)]
        lines = lines or [f"{name} = __import__({own!r}, fromlist=['__name__'])"]
        pieces = tuple(Piece(f"{line}\n", *place) for line in dict.fromkeys(lines))
        return _Definition(0, order, pieces, _NOTHING)

    def _import_from(self, name: str, value: Any) -> _Definition | None:
        for binding in (*reversed(self.statements.bindings(name)), *reversed(self.statements.bindings("*"))):
            node = binding.node
            if not isinstance(node, ast.ImportFrom):
                continue
            module = self.absolute(node.module, node.level)
            for alias in node.names:
                wanted = name if alias.name == "*" else alias.name
                if (alias.asname or wanted) != name:
                    continue
                try:
                    if look_up(self._live_name(module), wanted) is value:
                        own = self.rename(self._live_name(module))
                        return self._from(name, own, wanted, binding)
                except AttributeError:
                    continue
        if isinstance(value, type | types.FunctionType):
            found = importable(value)
            if found is not None:
                return self._from(name, self.rename(found[0]), found[1], None)
        return None

    def _live_name(self, module: str) -> str:
        """Return the full name of a module that an import in this code means."""
        if self.name.startswith(LIVE_PREFIX):
            full = self.name.removesuffix(original_name(self.name)) + module
            if full in sys.modules:
                return full
        return module

    def _from(self, name: str, module: str, path: str, binding: Binding | None) -> _Definition:
        first, _, rest = path.partition(".")
        line = import_as(module, name, first)
        source = f"{line}\n" + (f"{name} = {name}.{rest}\n" if rest else "")
        if binding is None:
            return _Definition(0, (0, 0, 0), (Piece(source, "", 0),), _NOTHING)
        piece = Piece(source, binding.text.file, binding.node.lineno)
        return _Definition(0, binding.order, (piece,), _NOTHING)

    def _constant(self, name: str, value: Any, literal: str) -> _Definition:
        for binding in reversed(self.statements.bindings(name)):
            node = binding.node
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                try:
                    written = ast.literal_eval(node.value)
                except (ValueError, TypeError, SyntaxError, RecursionError):
                    break
                if type(written) is type(value) and repr(written) == repr(value):
                    piece = Piece(verbatim(binding.text, node, []), binding.text.file, first_line(node))
                    return _Definition(1, binding.order, (piece,), _NOTHING)
                break
        bindings = self.statements.bindings(name)
        place = (bindings[-1].text.file, bindings[-1].node.lineno) if bindings else ("", 0)
        order = bindings[-1].order if bindings else (0, 0, 0)
        return _Definition(1, order, (Piece(f"{name} = {literal}\n", *place),), _NOTHING)

    def _statement(self, name: str, binding: Binding) -> _Definition:
        text, node = binding.text, binding.node
        edits = self.absolute_imports(text, node)
        value = self.variables.get(name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            edits += self._leave_out_defaults(name, value, text, node)
            if isinstance(value, types.FunctionType):
                self._note_attributes(name, value, node)
        imports: list[Piece] = []
        if isinstance(node, ast.ClassDef) and isinstance(value, type):
            edits += self._leave_out_members(name, value, text, node)
            for expression, place, imported in self._computed_bases(name, value, node):
                edits.append((span_of(expression), place))
                imports.append(Piece(imported, "", 0))
        source = verbatim(text, node, edits)
        usage = find_usage(source)
        annotations = frozenset(annotation_names(node)) & frozenset(
            name for name, value in self.variables.items() if _is_cheap(value)
        )
        usage = Usage(usage.at_once, usage.later | annotations)
        piece = Piece(source, text.file, first_line(node))
        bases = frozenset(self._plain_bases(node))
        cases = [self._statement(name, case) for case in self._earlier_cases(name, binding)]
        if cases:
            parts = [usage, *(case.usage for case in cases)]
            usage = Usage(
                frozenset().union(*(part.at_once for part in parts)),
                frozenset().union(*(part.later for part in parts)),
            )
            imports = [piece for case in cases for piece in case.pieces]
        return _Definition(_STATEMENT, binding.order, (*imports, piece), usage, bases)

    def _earlier_cases(self, name: str, binding: Binding) -> list[Binding]:
        """Return the statements that define other cases of a function, for arguments of other types.

        They have the same name and decorator: `@dispatch(int)`, `@dispatch(str)`.
        """
        decorators = decorators_of(binding.node)
        return [
            other
            for other in self.statements.bindings(name)
            if decorators and other.text is binding.text and other.order < binding.order
            if decorators_of(other.node) == decorators
        ][-1:]

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
            known = isinstance(expression, ast.Name) and self._is_synthesised(expression.id)
            found = importable(base) if known or isinstance(expression, ast.Call) else None
            if found is not None and type(base) is type(cls):
                place = f"captured_{name}_base_{number}"
                imported = self._from(place, self.rename(found[0]), found[1], None)
                yield expression, place, imported.pieces[0].source

    def _plain_bases(self, node: ast.stmt) -> Iterator[str]:
        """Yield the names of base classes that do nothing when a class is derived from them."""
        for base in getattr(node, "bases", ()):
            value = self.variables.get(base.id) if isinstance(base, ast.Name) else None
            if isinstance(value, type) and type(value).__module__ in ("builtins", "abc"):
                mro = [vars(cls) for cls in value.__mro__ if cls.__module__ == self.name]
                if not any("__init_subclass__" in members for members in mro):
                    yield base.id

    def _leave_out_defaults(
        self, path: str, function: Any, text: Text, node: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> list[Edit]:
        """Leave default arguments out that are made of values; they are set when an object is loaded.

        Those that were changed since are set, too: a dictionary that serves as a cache.
        """
        if not isinstance(function, types.FunctionType) or function.__name__ != node.name:
            return []
        if function.__code__.co_firstlineno != first_line(node):
            return []
        live = [*zip(node.args.defaults, function.__defaults__ or (), strict=False)]
        live += [
            (expression, (function.__kwdefaults__ or {}).get(argument.arg))
            for argument, expression in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if expression is not None
        ]
        ways = [self._way_of(text, expression, value) for expression, value in live]
        given = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        # The function, `live`, `given` and the variable here.
        shared = any(_is_held_elsewhere(value, 4) for value in given)
        if not any(ways) and not shared:
            return []
        for attribute in ("__defaults__", "__kwdefaults__"):
            if getattr(function, attribute):
                self.repairs[path, attribute] = (function, attribute, getattr(function, attribute))
        return [(span_of(e), "None") for (e, _), way in zip(live, ways, strict=True) if way == _INSTEAD]

    def _leave_out_members(self, path: str, cls: type, text: Text, node: ast.ClassDef) -> list[Edit]:
        """Leave out of a class what is made of values, and set what was changed since."""
        edits: list[Edit] = []
        plain = not node.decorator_list and type(cls).__module__ in ("builtins", "abc")
        settable = type(cls).__setattr__ is type.__setattr__
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                edits += self._leave_out_defaults(
                    f"{path}.{inner.name}", vars(cls).get(inner.name), text, inner
                )
                continue
            name, expression = assigned(inner)
            if expression is None or name not in vars(cls) or not settable:
                continue
            way = self._way_of(text, expression, vars(cls)[name])
            if not way and _is_held_elsewhere(vars(cls)[name], 1):
                way = _AFTERWARDS  # what others hold must be what they hold: `table = Base.table`
            if plain or (way == _AFTERWARDS and _written(expression) is not _UNKNOWN):
                if way:
                    self.repairs[path, name] = (cls, name, vars(cls)[name])
                if way == _INSTEAD:
                    edits.append((span_of(expression), "None"))
        if plain:
            for name in self._set_afterwards(cls, text, node):
                self.repairs[path, name] = (cls, name, vars(cls)[name])
        return edits

    def _note_attributes(self, path: str, function: types.FunctionType, node: ast.stmt) -> None:
        """Set the attributes that a function got: `step.calls = 0`."""
        decorated = bool(getattr(node, "decorator_list", []))
        for name, value in vars(function).items():
            plain = _literal(value) is not None or isinstance(value, _CONTAINERS)
            if not decorated or (plain and not name.startswith("_")):
                self.repairs[path, name] = (function, name, value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            # A memo that the function and its attribute, or the object, share.
            if decorated and cell != types.CellType() and _is_held_elsewhere(cell.cell_contents, 1):
                self.repairs[path, f"cell {name}"] = (ClosureOf(function, name), name, cell.cell_contents)

    def _way_of(self, text: Text, expression: ast.expr, value: Any) -> str:
        """Tell how what an expression made is taken: by its source (empty), by value, or by both."""
        if isinstance(value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
            return _INSTEAD if self._needs_values(text, expression) else ""
        written = _written(expression)
        if written is not _UNKNOWN:
            return "" if _is_same(written, value) else _AFTERWARDS
        if self._needs_values(text, expression):
            return _INSTEAD
        if _literal(value) is not None:
            return _AFTERWARDS
        # What decorators and subclasses fill while the module is executed must be there by then.
        filled = isinstance(value, _CONTAINERS) or type(value).__module__ == self.name
        return "" if _is_made_by_python(value) else _AFTERWARDS if filled else _INSTEAD

    def _set_afterwards(self, cls: type, text: Text, node: ast.ClassDef) -> Iterator[str]:
        """Yield the attributes that a class got after its statement: `Net.forward = faster`."""
        bound = {name for inner in statements(node.body) for name in bound_names(inner)}
        span = range(first_line(node), (node.end_lineno or 0) + 1)
        for name, value in list(vars(cls).items()):
            if isinstance(value, types.FunctionType):
                code = value.__code__
                inside = os.path.basename(code.co_filename) == os.path.basename(text.file)
                own = inside and code.co_firstlineno in span
                if not own and value.__globals__ is self.variables and "__wrapped__" not in vars(value):
                    yield name
            elif (
                name not in bound
                and name.isidentifier()
                and not name.startswith("__")
                and not (name.startswith("_abc_") or isinstance(value, types.MemberDescriptorType))
            ):
                yield name

    def _needs_values(self, text: Text, expression: ast.expr) -> bool:
        """Tell whether an expression uses names that are taken by value."""
        for used in find_usage(f"({text.slice(span_of(expression))})").at_once:
            value = self.variables.get(used, None)
            if isinstance(value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
                continue
            if used in self.variables and _literal(value) is None:
                return True
        return False

    def absolute(self, module: str | None, level: int) -> str:
        """Return the absolute name of what a statement imports from."""
        if not level:
            return module or ""
        parts = self.package.split(".")
        base = ".".join(parts[: len(parts) - level + 1])
        return f"{base}.{module}" if module else base

    def absolute_imports(self, text: Text, node: ast.AST) -> list[Edit]:
        """Return the edits that make relative imports below *node* absolute."""
        edits = []
        for inner in ast.walk(node):
            if isinstance(inner, ast.ImportFrom) and inner.level:
                span = span_of(inner)
                head = re.match(r"from[\s\\]*[.\s\\]+[\w.\s\\]*?import\b", text.slice(span))
                if head is not None:
                    lines = head.group().split("\n")
                    last = len(lines[-1].encode()) + (span[1] if len(lines) == 1 else 0)
                    part = (span[0], span[1], span[0] + len(lines) - 1, last)
                    edits.append((part, f"from {self.absolute(inner.module, inner.level)} import"))
        return edits

    # What comes out

    def pieces(self) -> list[Piece]:
        """Return the statements of the synthesised module, in an order in which they can be executed."""
        ordered = sorted(
            self.definitions, key=lambda n: (self.definitions[n].rank, self.definitions[n].order, n)
        )
        done: dict[str, None] = {}
        pieces: dict[Piece, None] = {}

        def emit(name: str, *, with_later: bool) -> None:
            if name in done or name not in self.definitions:
                return
            done[name] = None
            definition = self.definitions[name]
            for used in sorted(definition.usage.at_once - {name}):
                emit(used, with_later=True)
            if with_later:
                for used in sorted(definition.usage.later - {name}):
                    emit(used, with_later=True)
            pieces.update(dict.fromkeys(definition.pieces))

        for name in ordered:
            emit(name, with_later=False)
        return [*pieces, *(self.factories[name] for name in sorted(self.factories))]

    def future(self) -> list[str]:
        """Return the features its statements were compiled with."""
        self.statements.read()
        used = {piece.file for d in self.definitions.values() for piece in d.pieces}
        used |= {piece.file for piece in self.factories.values()}
        names = set()
        for file in used & self.statements.texts.keys():
            for node in self.statements.texts[file].tree.body:
                if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                    names |= {alias.name for alias in node.names}
        return sorted(names)

    def shows(self, path: str, obj: Any) -> bool:
        """Tell whether the statement of a class holds *obj*, to which *path* leads, or got it later."""
        top, _, below = path.partition(".")
        if not below or not isinstance(obj, types.FunctionType):
            return True
        binding = self.binding_of(top, self.variables[top])
        place = (obj.__code__.co_filename, obj.__code__.co_firstlineno)
        return binding is None or holds(binding, {place})

    def owns(self, obj: Any) -> bool:
        """Tell whether *obj* is a class or function that the script has defined, or wraps one."""
        if isinstance(obj, types.FunctionType):
            wrapped = (cell.cell_contents for cell in obj.__closure__ or () if cell != types.CellType())
            return obj.__globals__ is self.variables or any(
                isinstance(inner, types.FunctionType) and inner.__globals__ is self.variables
                for inner in wrapped
            )
        return isinstance(obj, type) and obj.__module__ == self.name

    def decorates(self, obj: Any) -> bool:
        """Tell whether *obj* is defined under decorators, which run again."""
        name = getattr(obj, "__name__", None)
        if not isinstance(name, str) or self.variables.get(name) is not obj:
            return False
        node = getattr(self.binding_of(name, obj), "node", None)
        return bool(getattr(node, "decorator_list", None))

    def name_of(self, obj: Any) -> str | None:
        """Return the path by which the namespace leads to *obj*, with all it needs taken; or None."""
        qualname = getattr(obj, "__qualname__", None)
        path = None
        if isinstance(qualname, str) and "<" not in qualname:
            try:
                found: Any = self.variables[qualname.partition(".")[0]]
                for part in qualname.split(".")[1:]:
                    found = getattr(found, part)
                path = qualname if found is obj else None
            except (KeyError, AttributeError):
                path = None
        return path or find_path_in(self.variables, obj)


def _written(expression: ast.expr) -> Any:
    """Return the value of an expression that is a literal."""
    try:
        return ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _UNKNOWN


def _is_same(written: Any, value: Any) -> bool:
    """Tell whether *value* is still what was written."""
    if type(written) is not type(value):
        return False
    if isinstance(value, _CONTAINERS) and len(value) != len(written):
        return False
    try:
        return repr(written) == repr(value)
    except Exception:  # noqa: BLE001  of what was put into it
        return False


def _is_held_elsewhere(value: Any, known: int) -> bool:
    """Tell whether more refers to a container than what is known to.

    Args:
        value: Any value.
        known: How many references the caller knows of.
    """
    # Those of this function and of `getrefcount` are two more.
    return isinstance(value, _CONTAINERS) and sys.getrefcount(value) > known + 2


def _is_made_by_python(value: Any) -> bool:
    """Tell whether a value is part of how a class works, such as a property."""
    described = hasattr(type(value), "__get__") or hasattr(type(value), "__set_name__")
    return described or isinstance(value, functools.partial | dataclasses.Field)


def _is_cheap(value: Any) -> bool:
    return isinstance(value, type | types.ModuleType) or type(value).__module__ in ("typing", "types")


def _literal(value: Any) -> str | None:
    """Return the source of an immutable value of Python's own types, or None if it is another.

    None also for one that its source does not give again, bit for bit: it travels by value.
    """
    text = _spelled(value, 0)
    return text if text is not None and (_is_short(value) or _reads_back(text, value)) else None


_DEEPEST = 16
"""Levels of tuples that are written; the parser of Python gives up at 200, and other tools before."""

_LONGEST = 1 << 16
"""Characters of a constant that are written. Longer ones, tables and files, are no text for people."""

_DIGITS = 640
"""Digits of a number that every Python reads: the least that `sys.set_int_max_str_digits` takes."""


def _spelled(value: Any, depth: int) -> str | None:
    """Return how a constant is written; None if it is none, or too long or deep to be read."""
    kind = type(value)
    if kind is int:
        # A digit is more than three bits; https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        return repr(value) if value.bit_length() <= 3 * _DIGITS else None
    if kind in (str, bytes):
        return repr(value) if len(value) <= _LONGEST else None
    if value is ...:
        return "..."
    if value is None or kind is bool:
        return repr(value)
    if kind in (float, complex):
        finite = all(map(math.isfinite, (value.real, value.imag)))
        # `-0+1j` is a sum, which loses the sign of its zero.
        plain = finite and (kind is float or _reads_back(repr(value), value))
        return repr(value) if plain else f"{kind.__name__}({str(value)!r})"
    if kind not in (tuple, frozenset) or depth == _DEEPEST or len(value) > _LONGEST:
        return None
    items = [_spelled(item, depth + 1) for item in value]
    known = [item for item in items if item is not None]
    if len(known) < len(items) or sum(map(len, known)) > _LONGEST:
        return None
    if kind is tuple:
        return f"({', '.join(known)}{',' if len(known) == 1 else ''})"
    return f"frozenset({{{', '.join(sorted(known))}}})" if known else "frozenset()"


def _is_short(value: Any) -> bool:
    """Tell whether nothing can be wrong with the source of a constant: most of them are names and sizes."""
    return value is None or value is ... or type(value) in (bool, int, str, bytes)


def _reads_back(text: str, value: Any) -> bool:
    """Tell whether the source of a constant gives it again, with type and bits."""
    try:
        read = eval(text, {"__builtins__": {}, "float": float, "complex": complex, "frozenset": frozenset})  # noqa: S307  text of `_spelled`
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    same: bool = _bits(read) == _bits(value)
    return same


def _bits(value: Any) -> Any:
    """Return what tells a constant from others: `0.0` from `-0.0`, `1` from `True`, one nan from another."""
    if type(value) in (float, complex):
        return type(value).__name__, struct.pack("<dd", value.real, value.imag)
    if type(value) is tuple:
        return "tuple", tuple(map(_bits, value))
    if type(value) is frozenset:
        return "frozenset", frozenset(map(_bits, value))
    return type(value).__name__, value
