"""One script, notebook or executed source: its globals, and the statements that made them."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from typing import Any

from wardian.capture.homes import find_path_in
from wardian.capture.literals import literal_of
from wardian.capture.statements import (
    Binding,
    Statements,
    decorators_of,
    functions_in,
    holds,
    is_generated,
    is_lambda,
)
from wardian.capture.texts import Edit, Text, is_source_of, span_of
from wardian.capture.usage import find_usage
from wardian.domain.live_names import full_name, is_live, mount_of, original_name
from wardian.environment.modules import is_instance

__all__ = ["Script"]

_TITLE = "What a packed object uses of "
_SYNTHESISED = re.compile("captured_")
"""How the names begin that synthesised modules have beside those of the user."""


class Script:
    """The globals of a script, a notebook or executed source, and its statements.

    Nothing is taken of it here.

    Args:
        variables: The dictionary of its globals.

    Attributes:
        statements: What it consists of, read when it is asked for.
    """

    def __init__(self, variables: dict[str, Any]) -> None:
        self.variables = variables
        self.statements = Statements(variables)

    @property
    def name(self) -> str:
        """Its `__name__`, usually `__main__`."""
        return str(self.variables.get("__name__", ""))

    @property
    def users_name(self) -> str:
        """The user's name for it, the same when a loaded object is packed again."""
        known = self.variables.get("__doc__") if is_live(self.name) else None
        if isinstance(known, str) and known.startswith(_TITLE):
            return known.removeprefix(_TITLE).removesuffix(".")
        return original_name(self.name)

    @property
    def title(self) -> str:
        """The docstring of the synthesised module."""
        return f"{_TITLE}{self.users_name}."

    @property
    def package(self) -> str:
        """The package that relative imports in it are relative to."""
        package = self.variables.get("__package__")
        return package if isinstance(package, str) else ""

    # Names

    def is_synthesised(self, name: str) -> bool:
        """Tell whether a loaded synthesised module has *name* for what it makes, and not of the user."""
        of_runtime = getattr(self.variables.get(name), "__module__", None) == self.name.rpartition(".")[0]
        return is_live(self.name) and (_SYNTHESISED.match(name) is not None or of_runtime)

    def is_code(self, name: str) -> bool:
        """Tell whether a global is a function or class, or a plain constant."""
        value = self.variables.get(name, self)
        return is_instance(value, type | types.FunctionType) or literal_of(value) is not None

    def uses_no_values(self, node: ast.stmt) -> bool:
        """Tell whether a statement uses only what is imported, classes, functions and constants."""
        return all(self._is_no_value(inner.id) for inner in ast.walk(node) if isinstance(inner, ast.Name))

    def _is_no_value(self, name: str) -> bool:
        value = self.variables.get(name)
        if is_instance(value, types.ModuleType | type | types.FunctionType) or literal_of(value) is not None:
            return True
        made = (self.statements.bindings(name) or self.statements.bindings("*"))[-1:]
        return bool(made) and isinstance(made[0].node, ast.ImportFrom)

    def needs_values(self, text: Text, expression: ast.expr) -> bool:
        """Tell whether an expression uses names that are taken by value."""
        for used in find_usage(f"({text.slice(span_of(expression))})").at_once:
            value = self.variables.get(used, None)
            if is_instance(value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
                continue
            if used in self.variables and literal_of(value) is None:
                return True
        return False

    def live_name(self, module: str) -> str:
        """Return the full name of a module that an import in this code means."""
        if is_live(self.name):
            full = full_name(mount_of(self.name), module)
            if full in sys.modules:
                return full
        return module

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

    # Statements of names

    def assignment(self, name: str) -> Binding | None:
        """Return the last statement that gives a value to *name*; None if it is no assignment."""
        bindings = [
            b for b in self.statements.bindings(name) if isinstance(b.node, ast.Assign | ast.AnnAssign)
        ]
        return bindings[-1] if bindings and bindings[-1].node.value is not None else None  # type: ignore[attr-defined]

    def binding_of(self, name: str, value: object) -> Binding | None:
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
            if not is_instance(value, type | types.FunctionType):
                fitting += [
                    b for b in defs if self.earlier_cases(name, b)
                ]  # what it wraps may be the first case
            return fitting[-1] if self._has_bases(fitting[-1].node, value) else None
        if codes:
            return self._lambda_binding(bindings, value)
        if defs and bindings[-1] is defs[-1] and self._made_by(defs[-1].node, name, value):
            return defs[-1]
        if bindings and (is_instance(value, type) or type(value).__module__ == "typing"):
            named = getattr(value, "__module__", None) in (self.name, None)
            node = bindings[-1].node
            binds = isinstance(node, ast.Assign) or type(node).__name__ == "TypeAlias"  # of Python 3.12
            return bindings[-1] if named and binds else None
        return None

    def _has_bases(self, node: ast.stmt, cls: Any) -> bool:
        """Tell whether the statement of a class, executed again, finds its bases: not `class Net(Net)`."""
        for base in getattr(node, "bases", ()):
            value = self.variables.get(base.id) if isinstance(base, ast.Name) else None
            if not is_instance(value, type) or not isinstance(cls, type) or value.__module__ != self.name:
                continue
            if value not in cls.__mro__[1:] or self.binding_of(base.id, value) is None:
                return False
        return True

    def _lambda_binding(self, bindings: list[Binding], value: Any) -> Binding | None:
        if not bindings or not is_lambda(bindings[-1].node) or not is_instance(value, types.FunctionType):
            return None
        same = value.__code__.co_firstlineno == bindings[-1].node.value.lineno  # type: ignore[attr-defined]
        known = same and is_source_of(bindings[-1].text, value.__code__)
        return bindings[-1] if known and not value.__closure__ else None

    def _made_by(self, node: ast.stmt, name: str, value: Any) -> bool:
        if is_instance(value, type):
            return value.__module__ in (self.name, "builtins") and value.__name__ == name
        if isinstance(node, ast.ClassDef):  # say, an instance in the place of a decorated class
            return bool(node.decorator_list)
        inner = inspect.unwrap(value) if callable(value) else value
        return isinstance(inner, types.FunctionType) or bool(node.decorator_list)  # type: ignore[attr-defined]

    def earlier_cases(self, name: str, binding: Binding) -> list[Binding]:
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

    # Names of objects

    def owns(self, obj: object) -> bool:
        """Tell whether *obj* is a class or function that the script has defined, or wraps one."""
        if isinstance(obj, types.FunctionType):
            wrapped = (cell.cell_contents for cell in obj.__closure__ or () if cell != types.CellType())
            return obj.__globals__ is self.variables or any(
                isinstance(inner, types.FunctionType) and inner.__globals__ is self.variables
                for inner in wrapped
            )
        return isinstance(obj, type) and obj.__module__ == self.name

    def shows(self, path: str, obj: object) -> bool:
        """Tell whether the statement of a class holds *obj*, to which *path* leads, or got it later."""
        top, _, below = path.partition(".")
        if not below or not isinstance(obj, types.FunctionType):
            return True
        binding = self.binding_of(top, self.variables[top])
        place = (obj.__code__.co_filename, obj.__code__.co_firstlineno)
        return binding is None or holds(binding, {place})

    def decorates(self, obj: object) -> bool:
        """Tell whether *obj* is defined under decorators, which run again."""
        name = getattr(obj, "__name__", None)
        if not isinstance(name, str) or self.variables.get(name) is not obj:
            return False
        node = getattr(self.binding_of(name, obj), "node", None)
        return bool(getattr(node, "decorator_list", None))

    def path_of(self, obj: object) -> str | None:
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
