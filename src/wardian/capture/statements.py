"""The statements of a script or notebook: what each binds, and what it tells of other things."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wardian.capture.registrations import Registration, find_registration, find_settings
from wardian.capture.texts import Text, first_line, read_texts
from wardian.domain.names import top_level
from wardian.environment.modules import is_instance, known_attribute

__all__ = [
    "Binding",
    "Statements",
    "annotation_names",
    "assigned",
    "bound_names",
    "decorators_of",
    "functions_in",
    "holds",
    "is_generated",
    "is_harmless",
    "is_lambda",
    "statements",
]

_CELL = re.compile(r"<|.*[/\\]ipykernel_\d+[/\\]")
"""Names that IPython, the REPL, doctest and others give to what stands for a file in `linecache`."""

_GENERATED = re.compile(r"<(frozen|eval_with_key|\w+ generated|string|__array_function__|lambdifygenerated)")
"""Names of what libraries generate in the run: attrs and SQLAlchemy say so, the latter hundreds of times."""


@dataclass(frozen=True, eq=False)
class Binding:
    """A statement at module level, which may bind a name."""

    text: Text
    node: ast.stmt
    order: tuple[int, int, int]
    """Number of the text, line, column."""


class Statements:
    """The statements of a script, of all its cells, read when they are asked for.

    Args:
        variables: Its globals.

    Attributes:
        texts: What was read, by file.
        registrations: Statements that register something and were not taken yet, of what was read.
    """

    def __init__(self, variables: dict[str, Any]) -> None:
        self._variables = variables
        self.texts: dict[str, Text] = {}
        self.registrations: list[tuple[Binding, Registration]] = []
        self._bindings: dict[str, list[Binding]] = {}
        self._read: set[str] = set()

    def bindings(self, name: str) -> list[Binding]:
        """Return the statements that bind *name*, in the order of execution."""
        self.read()
        return self._bindings.get(name, [])

    def _files(self) -> Iterator[str]:
        file = self._variables.get("__file__")
        for key in list(linecache.cache):
            if (
                self._variables.get("__name__") == "__main__"
                and _CELL.match(key)
                and not _GENERATED.match(key)
            ):
                yield key
        if isinstance(file, str):
            yield file
        for value in list(self._variables.values()):
            for function in functions_in(value):
                if function.__globals__ is self._variables:
                    yield function.__code__.co_filename

    def read(self) -> None:
        """Read what was not read yet."""
        # Cells can be added while the same namespace is packed again and again.
        for file in self._files():
            if file in self._read:
                continue
            self._read.add(file)
            if not _CELL.match(file) and not os.path.exists(file):
                name = os.path.basename(file)
                if any(os.path.basename(known) == name for known in self._read - {file}):
                    continue  # the script again, by the relative path it was started with
            for text in read_texts(file):
                self._index(text)
                break

    def _index(self, text: Text) -> None:
        number = len(self.texts)
        self.texts[text.file] = text
        for binding in _bindings_in(text, number):
            for name in bound_names(binding.node):
                self._bindings.setdefault(name, []).append(binding)
        for binding in _bindings_in(text, number, into_loops=False):
            if (found := find_registration(binding.node, self._variables)) is not None:
                self.registrations.append((binding, found))

    def settings(self) -> Iterator[tuple[types.ModuleType | type, str]]:
        """Yield what its statements set: a module or class, and the name in it."""
        self.read()
        for text in self.texts.values():
            for node in statements(text.tree.body):
                for owner, name in find_settings(node, self._variables):
                    if owner is not sys.modules.get(self._variables.get("__name__", "")):
                        yield owner, name

    def apart(self) -> Iterator[Binding]:
        """Yield those that can be taken alone: outside of loops."""
        self.read()
        for number, text in enumerate(self.texts.values()):
            yield from _bindings_in(text, number, into_loops=False)


def _bindings_in(text: Text, number: int, *, into_loops: bool = True) -> Iterator[Binding]:
    for node in statements(text.tree.body, into_loops=into_loops):
        yield Binding(text, node, (number, node.lineno, node.col_offset))


def statements(body: list[ast.stmt], *, into_loops: bool = True) -> Iterator[ast.stmt]:
    """Yield the statements at module level, those in blocks included.

    Args:
        body: Statements.
        into_loops: Whether loops are such blocks; a statement in one cannot be taken without it.
    """
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.For | ast.AsyncFor | ast.While) and not into_loops:
            continue
        for block in ("body", "handlers", "orelse", "finalbody", "cases"):
            for inner in getattr(node, block, ()):
                nested = [inner] if isinstance(inner, ast.stmt) else inner.body
                yield from statements(nested, into_loops=into_loops)


def bound_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds itself, not those that statements and expressions in it bind."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names):
            yield from (alias.asname or top_level(alias.name) for alias in names)
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
        case ast.Assign(targets=targets):
            for target in targets:
                yield from _stored_names(target)
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case ast.For(target=target) | ast.AsyncFor(target=target):
            yield from _stored_names(target)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                yield from () if item.optional_vars is None else _stored_names(item.optional_vars)
        case _ if type(node).__name__ == "TypeAlias":
            yield node.name.id  # type: ignore[attr-defined]


def assigned(node: ast.stmt) -> tuple[str, ast.expr | None]:
    """Return the one name that a statement gives a value, and the expression."""
    target = None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    return (target.id, node.value) if isinstance(target, ast.Name) else ("", None)  # type: ignore[attr-defined]


def _stored_names(target: ast.expr) -> Iterator[str]:
    # Not `model` of `model.scale = 2`.
    yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def is_generated(code: types.CodeType) -> bool:
    """Tell whether a library made the source of *code* in the run, as namedtuple does."""
    return _GENERATED.match(code.co_filename) is not None


def functions_in(value: object) -> Iterator[types.FunctionType]:
    """Yield the functions that show where *value* was defined.

    It is asked of all that a script has: no `__getattr__` runs, which may raise anything.
    """
    if is_instance(value, types.FunctionType):
        yield value
        inner = inspect.unwrap(value)
        if inner is not value and isinstance(inner, types.FunctionType):
            yield inner
    elif is_instance(value, type):
        for member in list(vars(value).values()):
            ways = ("__func__", "fget", "__wrapped__")
            for function in (member, *(known_attribute(member, way) for way in ways)):
                if is_instance(function, types.FunctionType) and function.__qualname__.startswith(
                    f"{value.__qualname__}."
                ):
                    yield function
    elif is_instance(inner := known_attribute(value, "__wrapped__"), types.FunctionType):
        yield inner


def holds(binding: Binding, places: set[tuple[str, int]]) -> bool:
    """Tell whether a statement spans any of these places, each a file and a line."""
    node = binding.node
    same = os.path.basename(binding.text.file)
    return any(
        os.path.basename(file) == same and first_line(node) <= line <= (node.end_lineno or 0)
        for file, line in places
    )


def decorators_of(node: ast.stmt) -> list[str]:
    """Return what decorates a function, without the arguments."""
    if not isinstance(node, ast.FunctionDef):
        return []
    return [ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list]


def is_lambda(node: ast.stmt) -> bool:
    """Tell whether a statement gives a name to a lambda."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) and len(node.targets) == 1


def is_harmless(node: ast.stmt) -> bool:
    """Tell whether a statement only makes an object, `lock = Lock()`, or names one, `FLAGS = flags.FLAGS`."""
    value = getattr(node, "value", None)
    owner = value
    while isinstance(owner, ast.Attribute):
        owner = owner.value
    if owner is not value and isinstance(owner, ast.Name):
        return True
    return isinstance(value, ast.Call) and not any(
        isinstance(inner, ast.Name) for a in (*value.args, *value.keywords) for inner in ast.walk(a)
    )


def annotation_names(node: ast.AST) -> Iterator[str]:
    """Yield the names in annotations below *node*."""
    for inner in ast.walk(node):
        for field_name in ("annotation", "returns"):
            annotation = getattr(inner, field_name, None)
            if isinstance(annotation, ast.expr):
                yield from (n.id for n in ast.walk(annotation) if isinstance(n, ast.Name))
