"""Whether the code that is running would go on without what it asks for."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator
from types import FrameType
from typing import Any

from wardian.source import parse

__all__ = ["IMPORTS", "METADATA", "is_handled"]

IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
"""Names of errors by which one handles an import that fails."""

METADATA = IMPORTS | {"PackageNotFoundError"}
"""The same for a distribution that `importlib.metadata` does not find."""


def is_handled(frame: FrameType | None, errors: frozenset[str], until: FrameType | None = None) -> bool:
    """Tell whether an error would be handled, that is raised where *frame* is now.

    Args:
        frame: Of the code that would raise it. Its callers may handle the error as well.
        errors: Names of it and the classes it derives from.
        until: The caller that is not looked at any more.

    Returns:
        Whether a `try` or `suppress` around the line, here or in a caller, names one of *errors* and does not
        raise in turn.
    """
    while frame is not None and frame is not until:
        code = frame.f_code
        # Most functions have no `try`, and nothing of theirs needs to be read.
        if code.co_exceptiontable and not code.co_filename.startswith("<frozen"):
            lines = "".join(linecache.getlines(code.co_filename, frame.f_globals))
            for first, last in _handled_lines(lines, code.co_filename, errors):
                if code.co_firstlineno <= first <= frame.f_lineno <= last:
                    return True
        frame = frame.f_back
    return False


@functools.lru_cache(maxsize=256)
def _handled_lines(source: str, file: str, errors: frozenset[str]) -> tuple[tuple[int, int], ...]:
    try:
        tree = parse(source.encode(), file)
    except SyntaxError:
        return ()
    return tuple(_blocks(tree, errors))


def _blocks(tree: ast.AST, errors: frozenset[str]) -> Iterator[tuple[int, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.Try(body=body) | ast.TryStar(body=body):
                handles = any(_names(h.type, errors) and not _raises(h) for h in node.handlers)
            case ast.With(body=body):
                handles = any(
                    ast.unparse(item.context_expr.func).rpartition(".")[2] == "suppress"
                    and any(_names(argument, errors) for argument in item.context_expr.args)
                    for item in node.items
                    if isinstance(item.context_expr, ast.Call)
                )
            case _:
                continue
        if handles:
            yield body[0].lineno, body[-1].end_lineno or body[-1].lineno


def _names(kind: Any, errors: frozenset[str]) -> bool:
    match kind:
        case None:
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in errors
        case ast.Tuple(elts=elements):
            return any(_names(element, errors) for element in elements)
    return False


def _raises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise)
