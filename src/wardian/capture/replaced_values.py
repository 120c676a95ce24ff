"""Values in functions and classes of a script that their statements do not give, or not any more."""

from __future__ import annotations

import ast
import os
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wardian.capture.literals import (
    CONTAINERS,
    UNKNOWN,
    is_as_written,
    is_held_elsewhere,
    is_made_by_python,
    literal_of,
    value_written,
)
from wardian.capture.script import Script
from wardian.capture.statements import assigned, bound_names, statements
from wardian.capture.texts import Edit, Text, first_line, span_of
from wardian.environment.modules import is_instance

__all__ = ["ClosureOf", "ReplacedValues"]

_INSTEAD = "instead of the source"
_AFTERWARDS = "after the source has run"
"""How a value is set that the source does not give."""


class ClosureOf(NamedTuple):
    """A variable that a function has from the one around it."""

    function: types.FunctionType
    name: str


class ReplacedValues:
    """Values inside functions and classes of a script that are set when an object is loaded.

    Args:
        script: The script that has them.
        set_inside: Called with what is to be set: the path that leads to it, its owner (a function, a class
            or a `ClosureOf`), its name there, and its value.
    """

    def __init__(
        self, script: Script, set_inside: Callable[[tuple[str, str], Any, str, Any], object]
    ) -> None:
        self._script, self._set_inside = script, set_inside

    def leave_out_defaults(
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
        shared = any(is_held_elsewhere(value, 4) for value in given)
        if not any(ways) and not shared:
            return []
        for attribute in ("__defaults__", "__kwdefaults__"):
            if getattr(function, attribute):
                self._set_inside((path, attribute), function, attribute, getattr(function, attribute))
        return [(span_of(e), "None") for (e, _), way in zip(live, ways, strict=True) if way == _INSTEAD]

    def leave_out_members(self, path: str, cls: type, text: Text, node: ast.ClassDef) -> list[Edit]:
        """Leave out of a class what is made of values, and set what was changed since."""
        edits: list[Edit] = []
        plain = not node.decorator_list and type(cls).__module__ in ("builtins", "abc")
        settable = type(cls).__setattr__ is type.__setattr__
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                edits += self.leave_out_defaults(
                    f"{path}.{inner.name}", vars(cls).get(inner.name), text, inner
                )
                continue
            name, expression = assigned(inner)
            if expression is None or name not in vars(cls) or not settable:
                continue
            way = self._way_of(text, expression, vars(cls)[name])
            if not way and is_held_elsewhere(vars(cls)[name], 1):
                way = _AFTERWARDS  # what others hold must be what they hold: `table = Base.table`
            if plain or (way == _AFTERWARDS and value_written(expression) is not UNKNOWN):
                if way:
                    self._set_inside((path, name), cls, name, vars(cls)[name])
                if way == _INSTEAD:
                    edits.append((span_of(expression), "None"))
        if plain:
            for name in self._members_set_later(cls, text, node):
                self._set_inside((path, name), cls, name, vars(cls)[name])
        return edits

    def set_attributes(self, path: str, function: types.FunctionType, node: ast.stmt) -> None:
        """Set the attributes that a function got: `step.calls = 0`."""
        decorated = bool(getattr(node, "decorator_list", []))
        for name, value in vars(function).items():
            plain = literal_of(value) is not None or is_instance(value, CONTAINERS)
            if not decorated or (plain and not name.startswith("_")):
                self._set_inside((path, name), function, name, value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            # A memo that the function and its attribute, or the object, share.
            if decorated and cell != types.CellType() and is_held_elsewhere(cell.cell_contents, 1):
                self._set_inside((path, f"cell {name}"), ClosureOf(function, name), name, cell.cell_contents)

    def _way_of(self, text: Text, expression: ast.expr, value: Any) -> str:
        """Tell how what an expression made is taken: by its source (empty), by value, or by both."""
        if is_instance(value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
            return _INSTEAD if self._script.needs_values(text, expression) else ""
        written = value_written(expression)
        if written is not UNKNOWN:
            return "" if is_as_written(written, value) else _AFTERWARDS
        if self._script.needs_values(text, expression):
            return _INSTEAD
        if literal_of(value) is not None:
            return _AFTERWARDS
        # What decorators and subclasses fill while the module is executed must be there by then.
        filled = is_instance(value, CONTAINERS) or type(value).__module__ == self._script.name
        return "" if is_made_by_python(value) else _AFTERWARDS if filled else _INSTEAD

    def _members_set_later(self, cls: type, text: Text, node: ast.ClassDef) -> Iterator[str]:
        """Yield the attributes that a class got after its statement: `Net.forward = faster`."""
        bound = {name for inner in statements(node.body) for name in bound_names(inner)}
        span = range(first_line(node), (node.end_lineno or 0) + 1)
        for name, value in list(vars(cls).items()):
            if is_instance(value, types.FunctionType):
                code = value.__code__
                inside = os.path.basename(code.co_filename) == os.path.basename(text.file)
                own = inside and code.co_firstlineno in span
                if (
                    not own
                    and value.__globals__ is self._script.variables
                    and "__wrapped__" not in vars(value)
                ):
                    yield name
            elif (
                name not in bound
                and name.isidentifier()
                and not name.startswith("__")
                and not (name.startswith("_abc_") or is_instance(value, types.MemberDescriptorType))
            ):
                yield name
