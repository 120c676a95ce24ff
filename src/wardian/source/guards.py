"""Imports that may fail: those whose error the code around them catches."""

from __future__ import annotations

import ast
from collections.abc import Container

from wardian.source.parsing import parse

__all__ = [
    "CATCHES_IMPORT_ERROR",
    "catches_import_error",
    "find_unguarded_imports",
    "suppresses_import_error",
]


CATCHES_IMPORT_ERROR = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def find_unguarded_imports(source: bytes, file: str) -> frozenset[int]:
    r"""Return the lines of the imports that must succeed when a module runs.

    They stand at module or class level, and no `try` or `suppress` around them handles ImportError.

    Args:
        source: Bytes as they are in the file.
        file: Path to name in errors.

    Raises:
        SyntaxError: if the source cannot be parsed.

    >>> sorted(find_unguarded_imports(b"import a\ntry:\n import b\nexcept ImportError:\n import c", "m.py"))
    [1, 5]
    """
    lines: set[int] = set()
    stack: list[ast.AST] = list(parse(source, file).body)
    while stack:
        node = stack.pop()
        match node:
            case ast.Import() | ast.ImportFrom():
                lines.add(node.lineno)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass
            case ast.Try() | ast.TryStar() if any(catches_import_error(h.type) for h in node.handlers):
                stack += [*node.handlers, *node.orelse, *node.finalbody]
            case ast.With() if any(
                suppresses_import_error(item.context_expr, ("suppress",)) for item in node.items
            ):
                pass
            case _:
                stack += [
                    n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt | ast.ExceptHandler)
                ]
                stack += [n for case in getattr(node, "cases", ()) for n in case.body]
    return frozenset(lines)


def catches_import_error(kind: ast.expr | None) -> bool:
    """Tell whether a handler of this class catches what a failing import raises."""
    match kind:
        case None:
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in CATCHES_IMPORT_ERROR
        case ast.Tuple():
            return any(catches_import_error(element) for element in kind.elts)
    return False


def suppresses_import_error(manager: ast.expr, names: Container[str]) -> bool:
    """Tell whether *manager* is `contextlib.suppress`, by one of *names*, of ImportError."""
    match manager:
        case ast.Call(func=ast.Name(id=name)) if name in names:
            return any(catches_import_error(argument) for argument in manager.args)
        case ast.Call(func=ast.Attribute(attr="suppress")):
            return any(catches_import_error(argument) for argument in manager.args)
    return False
