"""Whether the code that is running would go on without what it asks for."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from wardian.source.parsing import parse

__all__ = ["IMPORTS", "METADATA", "find_handler"]

IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
"""Names of errors by which one handles an import that fails."""

METADATA = IMPORTS | {"PackageNotFoundError"}
"""The same for a distribution that `importlib.metadata` does not find."""


def find_handler(
    frame: FrameType | None, errors: frozenset[str], until: FrameType | None = None
) -> FrameType | None:
    """Find who would handle an error that is raised where *frame* is now.

    Args:
        frame: Of the code that would raise it. Its callers may handle the error as well.
        errors: Names of it and the classes it derives from.
        until: The caller that is not looked at any more.

    Returns:
        The frame, or that of a caller, in which a `try` or `suppress` around the line names one of *errors*
        and does not raise in turn; None if there is none.
    """
    while frame is not None and frame is not until:
        code = frame.f_code
        # Most frames are those of the import system, and most other code is in no `try`: its source need not
        # be read.
        if not code.co_filename.startswith("<frozen") and _is_covered(code, frame.f_lasti):
            lines = linecache.getlines(code.co_filename, frame.f_globals)
            for first, last in _handled_lines(lines, code.co_filename, errors):
                if code.co_firstlineno <= first <= frame.f_lineno <= last:
                    return frame
        frame = frame.f_back
    return None


_pieces: dict[int, tuple[CodeType, tuple[tuple[int, int], ...]]] = {}
"""Code by its id, held, with the pieces of it that are covered. Its hash takes a look at all of it."""


def _is_covered(code: CodeType, offset: int) -> bool:
    """Tell whether the interpreter looks for a handler when the instruction at an offset (bytes) raises."""
    known = _pieces.get(id(code))
    if known is None:
        known = _pieces[id(code)] = code, tuple(_covered(code))
    unit = offset // 2
    return any(start <= unit < end for start, end in known[1])


def _covered(code: CodeType) -> Iterator[tuple[int, int]]:
    """Yield the pieces of code that have a handler, in units of two bytes.

    The table of a code object has four numbers for each piece of it: start, length, target, in units of two
    bytes, and depth. Each is a row of bytes with six bits in each, of which bit 6 says that another follows:
    https://github.com/python/cpython/blob/3.11/Objects/exception_handling_notes.txt
    """
    numbers: list[int] = []
    number = 0
    for byte in code.co_exceptiontable:
        number = number << 6 | byte & 0x3F
        if not byte & 0x40:
            numbers.append(number)
            number = 0
    for start, length in zip(numbers[::4], numbers[1::4], strict=True):
        yield start, start + length


_blocks_of: dict[str, tuple[list[str], dict[frozenset[str], tuple[tuple[int, int], ...]]]] = {}
"""Files with their lines, as `linecache` keeps them, and what `_handled_lines` found: a file may change."""


def _handled_lines(lines: list[str], file: str, errors: frozenset[str]) -> tuple[tuple[int, int], ...]:
    known = _blocks_of.get(file)
    if known is None or known[0] is not lines:
        known = _blocks_of[file] = lines, {}
    if errors not in known[1]:
        try:
            known[1][errors] = tuple(_blocks(parse("".join(lines).encode(), file), errors))
        except SyntaxError:
            known[1][errors] = ()
    return known[1][errors]


def _blocks(tree: ast.AST, errors: frozenset[str]) -> Iterator[tuple[int, int]]:
    for node in _statements(tree):
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


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements: there are ten times as many expressions, and none of these holds a statement."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, name, ())


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
