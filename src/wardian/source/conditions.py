"""Conditions whose value is known before the code runs."""

from __future__ import annotations

import ast
from collections.abc import Container

__all__ = ["truth"]


def truth(test: ast.expr, type_checking: Container[str]) -> bool | None:
    """Return the value a condition has at run time whatever happens, or None.

    Args:
        test: The condition.
        type_checking: What the module calls `typing.TYPE_CHECKING`.

    >>> truth(ast.parse("not TYPE_CHECKING or fast", mode="eval").body, {"TYPE_CHECKING"})
    True
    """
    match test:
        case ast.Constant():
            return bool(test.value)
        case ast.Name(id=name) if name in type_checking:
            return False
        case ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case ast.UnaryOp(op=ast.Not()):
            value = truth(test.operand, type_checking)
            return None if value is None else not value
        case ast.BoolOp():
            decides = isinstance(test.op, ast.Or)
            values = [truth(operand, type_checking) for operand in test.values]
            if decides in values:
                return decides
            return None if None in values else not decides
    return None
