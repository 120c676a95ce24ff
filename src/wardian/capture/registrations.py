"""Statements of a script that register something in the process, and what each is about.

torch.library.define("shop::scale", "(Tensor x) -> Tensor")  # about the operators of "shop"

@show.register  # about the function `show`
def _(x: int): ...
"""

from __future__ import annotations

import abc
import ast
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wardian.environment.modules import is_instance

__all__ = ["Registration", "find_call", "find_registration", "find_settings"]

_BY_ARGUMENT = {
    "torch.utils._pytree": re.compile("_?register_"),
    "torch.export": re.compile("register_dataclass"),
    "torch.serialization": re.compile("add_safe_globals"),
    "torch.fx._symbolic_trace": re.compile("wrap$"),
    "torch.distributions.kl": re.compile("register_kl"),
    "copyreg": re.compile("pickle|constructor"),
}
"""Module → names of its functions that register what they are given."""

_OPERATOR = re.compile(r"(\w+)::")


@dataclass(frozen=True, slots=True)
class Registration:
    """The subject of a statement that registers something.

    Attributes:
        names: Global names; it matters where one of them is needed.
        operators: Namespaces of operators; it matters where one of them is used.
    """

    names: frozenset[str]
    operators: frozenset[str]


def find_registration(node: ast.stmt, variables: Mapping[str, Any]) -> Registration | None:
    """Return what *node* is about; None if it is not known to do nothing but register.

    Args:
        node: A statement.
        variables: The globals it was executed with, as they are now.
    """
    if isinstance(node, ast.For):
        return _find_in_loop(node, variables)
    names: set[str] = set()
    operators: set[str] = set()
    for function, arguments in _calls(node):
        found = _resolve(function, variables)
        owner: Any = _resolve(function.value, variables) if isinstance(function, ast.Attribute) else None
        root = _root(function)
        kind = f"{type(owner).__module__}.{type(owner).__qualname__}"
        module = getattr(found, "__module__", None)
        name = getattr(found, "__name__", "")
        if kind == "torch._library.custom_ops.CustomOpDef" and name.startswith("register_"):
            names.add(root)
            operators.add(owner._namespace)  # noqa: SLF001  it has no public name
        elif kind == "torch.library.Library" and not name.startswith("_"):
            operators.add(owner.ns)
        elif module in ("torch.library", "torch._library.custom_ops") and isinstance(
            found, types.FunctionType | type
        ):
            spelled = [n.value for a in arguments for n in ast.walk(a) if isinstance(n, ast.Constant)]
            given = [_resolve(argument, variables) for argument in arguments]
            operators |= {m[1] for s in spelled if isinstance(s, str) and (m := _OPERATOR.match(s))}
            operators |= {g.ns for g in given if type(g).__qualname__ == "Library"}
            defined = [g for g in given if type(g).__qualname__ == "CustomOpDef"]
            operators |= {g._namespace for g in defined}  # noqa: SLF001
        elif isinstance(owner, types.FunctionType) and name == "register" and hasattr(owner, "registry"):
            names.add(root)
        elif getattr(found, "__func__", None) is abc.ABCMeta.register:
            names |= {root, *_names_in(arguments)}
        elif module in _BY_ARGUMENT and _BY_ARGUMENT[module].match(name):
            names |= set(_names_in(arguments))
    return Registration(frozenset(names), frozenset(operators)) if names or operators else None


def _find_in_loop(loop: ast.For, variables: Mapping[str, Any]) -> Registration | None:
    """Return what a loop is about that does nothing but register: `for cls in (A, B): register(cls)`."""
    found = [find_registration(node, variables) for node in loop.body]
    if loop.orelse or not all(found):
        return None
    targets = {inner.id for inner in ast.walk(loop.target) if isinstance(inner, ast.Name)}
    names = {name for registration in found if registration for name in registration.names}
    operators = {name for registration in found if registration for name in registration.operators}
    return Registration(frozenset(names - targets | set(_names_in([loop.iter]))), frozenset(operators))


def find_settings(
    node: ast.stmt, variables: Mapping[str, Any]
) -> Iterator[tuple[types.ModuleType | type, str]]:
    """Yield what *node* sets in modules and classes: `shop.settings.RATE = 2`, `setattr(Net, "scale", 2)`.

    Args:
        node: A statement.
        variables: The globals it was executed with, as they are now.

    Yields:
        The module or class, and the name in it.
    """
    targets: list[tuple[ast.expr, str]] = []
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            targets += [(part.value, part.attr) for part in parts if isinstance(part, ast.Attribute)]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        match node.value:
            case ast.Call(ast.Name("setattr"), [owner, ast.Constant(str(name)), _]):
                targets.append((owner, name))
    for expression, name in targets:
        match expression:
            case ast.Call(ast.Name("type"), [instance], []) | ast.Attribute(instance, "__class__"):
                found: Any = type(_resolve(instance, variables))
            case _:
                found = _resolve(expression, variables)
        if is_instance(found, types.ModuleType | type):
            yield found, name


def find_call(
    node: ast.stmt, names: frozenset[str], variables: Mapping[str, Any]
) -> types.FunctionType | None:
    """Return the function that *node* calls with one of the globals *names*: `shop.register("net", Net)`.

    Args:
        node: A statement.
        names: Names of globals.
        variables: The globals it was executed with, as they are now.
    """
    if not isinstance(node, ast.Expr):
        return None
    for function, arguments in _calls(node):
        found = _resolve(function, variables)
        found = getattr(found, "__func__", found)
        if is_instance(found, types.FunctionType) and any(
            isinstance(argument, ast.Name) and argument.id in names for argument in arguments
        ):
            return found
    return None


def _calls(node: ast.stmt) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """Yield what a statement calls, with the arguments."""
    calls: list[ast.expr] = list(getattr(node, "decorator_list", ()))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        calls = [node.value]
    for call in calls:
        if isinstance(call, ast.Call):
            inner = call.func
            # op.register(int)(function)
            outer = [*call.args, *(keyword.value for keyword in call.keywords)]
            yield (inner.func if isinstance(inner, ast.Call) else inner), outer
        else:
            yield call, []


def _resolve(expression: ast.expr, variables: Mapping[str, Any]) -> Any:
    """Return what a dotted name means now, or None; no code of the user's runs."""
    if isinstance(expression, ast.Name):
        return variables.get(expression.id)
    if not isinstance(expression, ast.Attribute):
        return None
    owner = _resolve(expression.value, variables)
    of_torch = type(owner).__module__ in ("torch.library", "torch._library.custom_ops")
    if is_instance(owner, types.ModuleType | types.FunctionType | type) or of_torch:
        return getattr(owner, expression.attr, None)
    return inspect.getattr_static(type(owner), expression.attr, None)


def _root(expression: ast.expr) -> str:
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return expression.id if isinstance(expression, ast.Name) else ""


def _names_in(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        for inner in ast.walk(argument):
            if isinstance(inner, ast.Name):
                yield inner.id
            elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value
