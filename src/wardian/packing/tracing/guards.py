"""Whether the code that is running would go on without what it asks for."""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from wardian.source.parsing import batch, parse

__all__ = ["IMPORTS", "METADATA", "Seen", "find_handler"]

IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
"""Names of errors by which one handles an import that fails."""

METADATA = IMPORTS | {"PackageNotFoundError"}
"""The same for a distribution that `importlib.metadata` does not find."""


_Pieces = tuple[tuple[int, int], ...]
"""Pieces of code, each from one instruction up to another one, in units of two bytes."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """Facts of a frame, as long as it lasts."""

    code: CodeType
    pieces: _Pieces
    """Those in which it may handle an error of imports."""
    above: dict[frozenset[str], FrameType | None]
    """Which of its callers would handle errors: these do not go on before it has ended."""


class Seen:
    """The frames of a stack that searches have looked at, the outermost first."""

    def __init__(self) -> None:
        self.frames: dict[FrameType, _Looked] = {}

    def forget(self) -> None:
        """Let go of all frames, and of what their variables hold."""
        self.frames = {}


def find_handler(
    frame: FrameType | None, errors: frozenset[str], until: FrameType | None = None, seen: Seen | None = None
) -> FrameType | None:
    """Find who would handle an error that is raised where *frame* is now.

    Args:
        frame: Of the code that would raise it. Its callers may handle the error as well.
        errors: Names of it and the classes it derives from.
        until: The caller that is not looked at any more.
        seen: What earlier searches with the same *until* have looked at. This one lets go of frames that have
            ended, and leaves there what it has looked at.

    Returns:
        The frame, or that of a caller, in which a `try` or `suppress` around the line names one of *errors*
        and does not raise in turn; None if there is none.
    """
    before = {} if seen is None else seen.frames
    new: dict[FrameType, _Looked] = {}
    found: FrameType | None = None
    while frame is not None and frame is not until:
        # All audit hooks are told of each `frame.f_code`, and of each `id`, and imports are nested deeply:
        # https://docs.python.org/3/library/audit_events.html
        looked = before.get(frame)
        if looked is None:
            looked = _Looked(*_known(frame.f_code, frame), {})
        if looked.pieces and _handles(frame, looked, errors):
            found = frame
            break
        new[frame] = looked
        if errors in looked.above:
            found = looked.above[errors]
            break
        frame = frame.f_back
    for looked in new.values():
        # A generator goes on for another caller.
        if not looked.code.co_flags & _GENERATORS:
            looked.above[errors] = found
    if seen is not None:
        seen.frames = _still_there(before, frame) | dict(reversed(new.items()))
    return found


_GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _still_there(before: Mapping[FrameType, _Looked], frame: FrameType | None) -> dict[FrameType, _Looked]:
    """Return those of some frames, the outermost first, that call *frame*, and itself if it is among them."""
    while frame is not None and frame not in before:
        frame = frame.f_back
    left: dict[FrameType, _Looked] = {}
    for outer, looked in before.items() if frame is not None else ():
        left[outer] = looked
        if outer is frame:
            break
    return left


def _handles(frame: FrameType, looked: _Looked, errors: frozenset[str]) -> bool:
    """Tell whether a frame would handle one of *errors* where it is now."""
    if not _cover(looked.pieces, frame.f_lasti):
        return False
    code = looked.code
    lines = linecache.getlines(code.co_filename, frame.f_globals)
    handled = _handled_lines(lines, code.co_filename, errors)
    return any(code.co_firstlineno <= first <= frame.f_lineno <= last for first, last in handled)


_pieces: dict[int, tuple[CodeType, _Pieces]] = {}
"""Code by its id, held, with its pieces: code's hash takes a look at all of it."""


def _known(code: CodeType, frame: FrameType) -> tuple[CodeType, _Pieces]:
    if (known := _pieces.get(id(code))) is None:
        known = _pieces[id(code)] = code, _pieces_of(code, frame)
    return known


def _pieces_of(code: CodeType, frame: FrameType) -> _Pieces:
    """Return the pieces of code in which it may handle an error of imports.

    Most frames are those of the import system, most other code is in no `try`, and of the rest most handles
    other errors, or none, as `finally` and `with` do: the source of these need not be parsed.

    Args:
        code: The code.
        frame: One of its frames, which knows where its source is.
    """
    if code.co_filename.startswith("<frozen") or not (pieces := tuple(_covered(code))):
        return ()
    if _NAMES.isdisjoint((*code.co_names, *code.co_varnames, *code.co_cellvars, *code.co_freevars)):
        lines = linecache.getlines(code.co_filename, frame.f_globals)
        last = max((line for _, _, line in code.co_lines() if line is not None), default=0)
        if not any(map(_handles_all, lines[code.co_firstlineno - 1 : last])):
            return ()
    return pieces


_NAMES = METADATA | {"suppress"}
"""Names of which code that handles an error of imports has one, but for an `except` without any."""

_handles_all = re.compile(r"\s*except\s*(:|\\|$)").match


def _cover(pieces: Iterable[tuple[int, int]], offset: int) -> bool:
    """Tell whether the instruction at an offset (bytes) is in one of the pieces."""
    unit = offset // 2
    return any(start <= unit < end for start, end in pieces)


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
        with batch(), contextlib.suppress(SyntaxError):
            known[1][errors] = tuple(_blocks(parse("".join(lines).encode(), file), errors))
        known[1].setdefault(errors, ())
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
