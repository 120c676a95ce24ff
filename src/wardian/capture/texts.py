"""Sources as text, and the syntax node of a live code object."""

from __future__ import annotations
import __future__

import ast
import copy
import inspect
import io
import linecache
import os
import sys
import textwrap
import time
import tokenize
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from wardian.environment.modules import known_attribute
from wardian.source.mentions import parts_of
from wardian.source.parsing import batch, with_whole_stack

__all__ = [
    "Edit",
    "Function",
    "Span",
    "Text",
    "find_function",
    "first_line",
    "is_source_of",
    "read_texts",
    "span_of",
    "verbatim",
    "was_changed",
]

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Span = tuple[int, int, int, int]
"""From (line, column) to (line, column), as in a syntax tree."""
Edit = tuple[Span, str]
"""A part of a text, and what takes its place."""


@dataclass(frozen=True, eq=False)
class Text:
    """One source text: a file, or a cell of a notebook."""

    file: str
    """Path, or what stands for one (`<ipython-input-3-...>`)."""
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax; empty if it is not valid for this interpreter."""
        try:
            with batch():
                # As text: a line that names an encoding speaks of the bytes of the file.
                return with_whole_stack(lambda: ast.parse(self.source, self.file), self.file)
        except SyntaxError:
            return ast.Module([], [])

    @cached_property
    def lines(self) -> list[bytes]:
        """Its lines as bytes, with their ends; the columns of a syntax tree count bytes."""
        return self.source.encode().splitlines(keepends=True)

    def holds(self, code: types.CodeType) -> bool:
        """Tell whether the text compiles to *code*, among others."""
        # A shell hands its own `from __future__ import annotations` on to what it compiles.
        return code in self._codes(0) or code in self._codes(
            code.co_flags & __future__.annotations.compiler_flag
        )

    def holds_but_for_columns(self, code: types.CodeType) -> bool:
        """Tell whether the text compiles to *code*, of which nothing may say where in its lines it stands.

        It is so under `-X no_debug_ranges`, and where a tool has replaced the code by a copy.
        """
        return any(self.compiled_to(code))

    def compiled_to(self, code: types.CodeType) -> Iterator[types.CodeType]:
        """Yield code that the text compiles to and that is *code*, but for where in its lines it stands."""
        wanted = _without_places(code)
        for flags in (0, code.co_flags & __future__.annotations.compiler_flag):
            for found in self._codes(flags):
                if found.co_name == code.co_name and _without_places(found) == wanted:
                    yield found

    def compiled_apart(
        self, lambdas: list[ast.Lambda], flags: int
    ) -> Iterator[tuple[ast.Lambda, types.CodeType]]:
        """Yield lambdas of one line, each with what it compiles to in its place; none if that is not known.

        Args:
            lambdas: Nodes of the tree.
            flags: Those of the code that is looked for.
        """
        copies: dict[int, Any] = {}
        try:
            tree = copy.deepcopy(self.tree, copies)
            for number, node in enumerate(lambdas):
                # Lines tell them apart. One may be within another, so the steps have sums of their own.
                ast.increment_lineno(copies[id(node)], (1 << number) * (self.source.count("\n") + 2))
            places = {copies[id(node)].lineno: node for node in lambdas}
            with batch():
                flags &= __future__.annotations.compiler_flag
                whole = compile(tree, self.file, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, OverflowError, RecursionError):
            return
        for found in parts_of(whole):
            if found.co_name == "<lambda>" and found.co_firstlineno in places:
                yield places[found.co_firstlineno], found

    @cached_property
    def _known(self) -> dict[int, frozenset[types.CodeType]]:
        return {}

    def _codes(self, flags: int) -> frozenset[types.CodeType]:
        if flags not in self._known:
            self._known[flags] = self._compiled(flags)
        return self._known[flags]

    def _compiled(self, flags: int) -> frozenset[types.CodeType]:
        try:
            with batch():
                whole = compile(self.source, self.file, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return frozenset()
        found: set[types.CodeType] = set()
        todo = [whole]
        while todo:
            code = todo.pop()
            found.add(code)
            todo += [c for c in code.co_consts if isinstance(c, types.CodeType)]
        return frozenset(found)

    @cached_property
    def functions(self) -> dict[int, list[Function]]:
        """Functions and lambdas by the line that their code objects name first."""
        found: dict[int, list[Function]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                found.setdefault(first_line(node), []).append(node)
        return found

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of each node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def slice(self, span: Span) -> str:
        """Return the text from (line, column) to (line, column)."""
        line, column, end_line, end_column = span
        picked = self.lines[line - 1 : end_line]
        picked[-1] = picked[-1][:end_column]
        picked[0] = picked[0][column:]
        return b"".join(picked).decode()

    def edited(self, span: Span, edits: list[Edit]) -> str:
        """Return the text of *span* with parts of it replaced.

        Args:
            span: What to return.
            edits: Parts, which do not overlap, each with its replacement.
        """
        pieces = []
        line, column = span[:2]
        for part, replacement in sorted(edits):
            pieces += [self.slice((line, column, *part[:2])), replacement]
            line, column = part[2:]
        return "".join([*pieces, self.slice((line, column, *span[2:]))])


def first_line(node: ast.stmt | ast.expr) -> int:
    """Return the line a statement begins on, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def span_of(node: ast.AST) -> Span:
    """Return where *node* stands, without decorators."""
    return (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]


def verbatim(text: Text, node: ast.stmt, edits: list[Edit]) -> str:
    """Return a statement as it stands in the text, moved to the first column.

    Args:
        text: Where it stands.
        node: The statement, of any block.
        edits: What to replace in it.
    """
    start = first_line(node)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    indent = text.lines[start - 1][: node.col_offset]
    rest = text.lines[node.end_lineno - 1][node.end_col_offset :].strip()
    if indent.strip() or (rest and not rest.startswith(b"#")):
        return _unparsed(text.slice(span_of(node)) if not edits else text.edited(span_of(node), edits))
    last = text.lines[node.end_lineno - 1]
    whole = text.edited((start, 0, node.end_lineno, len(last)), edits).rstrip() + "\n"
    if not indent:
        return whole
    moved = textwrap.dedent(whole)
    wrapped = f"if True:\n{whole}"
    try:
        # Text in quotes over several lines must keep its spaces.
        same = ast.dump(ast.parse(moved).body[0]) == ast.dump(ast.parse(wrapped).body[0].body[0])  # type: ignore[attr-defined]
    except SyntaxError:
        same = False
    return moved if same else wrapped


def _unparsed(piece: str) -> str:
    return ast.unparse(ast.parse(textwrap.dedent(piece))) + "\n"


def read_texts(file: str) -> Iterator[Text]:
    """Yield the known texts of *file*, what running code was more likely made from first.

    Each is looked for when it is asked for: of a cell, the first is all that most want, and the next one
    takes a look at all modules.
    """
    for source in _once(_sources(file)):
        yield _text(file, source)


def _once(sources: Iterable[str]) -> Iterator[str]:
    seen = set()
    for source in sources:
        if source not in seen:
            seen.add(source)
            yield source


def _sources(file: str) -> Iterator[str]:
    cached = linecache.cache.get(file)
    if cached is not None and len(cached) > 1:
        yield "".join(cached[2])
    for module in list(sys.modules.values()):
        if known_attribute(module, "__file__") == file:
            get_source = getattr(known_attribute(module, "__loader__"), "get_source", None)
            try:
                source = get_source(module.__name__) if get_source is not None else None
            except (ImportError, OSError, SyntaxError, UnicodeDecodeError):
                source = None
            if isinstance(source, str):
                yield source
    path = file
    if not os.path.exists(path):
        # A script that was started by a relative path, from a folder that is the current one no more.
        main = known_attribute(sys.modules.get("__main__"), "__file__")
        if main is not None and os.path.basename(main) == os.path.basename(file):
            path = main
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        source = io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return
    yield source


@lru_cache(maxsize=64)
def _text(file: str, source: str) -> Text:
    return Text(file, source)


def _without_places(code: types.CodeType) -> types.CodeType:
    constants = tuple(_without_places(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_linetable=b"", co_consts=constants)


def find_function(code: types.CodeType) -> tuple[Text, Function] | None:
    """Find the syntax of a live function.

    Returns:
        The text and the node in it; None if there is no source, or only one that was changed since.
    """
    found = None
    for whole in read_texts(code.co_filename):
        text = whole if whole.tree.body else _block_of(code, whole) or whole
        node = _node_of(code, text)
        if node is not None:
            named = code if isinstance(node, ast.Lambda) else code.replace(co_name=node.name)
            if text.holds(named):
                return text, node
            if found is None and _may_give(text, named):
                found = text, node
    return found


def is_source_of(text: Text, code: types.CodeType) -> bool:
    """Tell whether *code* was made from *text*, as far as can be known."""
    return text.holds(code) or _may_give(text, code)


def _may_give(text: Text, code: types.CodeType) -> bool:
    """Tell whether *code*, which is not the very code of a text, may have been made from it all the same.

    A file that a tool rewrites before it is compiled, as pytest does, never gives the very code. What is no
    file, as a cell is, may have been replaced by another one of its name.
    """
    if os.path.isfile(text.file):
        return not was_changed(text.file)
    return text.holds_but_for_columns(code)


def was_changed(file: str) -> bool:
    """Tell whether *file* was written to since this process began."""
    try:
        return os.stat(file).st_mtime > _process_start()
    except OSError:
        return False


@lru_cache(maxsize=1)
def _process_start() -> float:
    try:
        # Not the time of the folder /proc/PID, which is that of the first look at it. Times of files are as
        # coarse as a tick. The name of the program, in parentheses, may hold anything.
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        per_second = os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + (ticks - 1) / per_second
    except (OSError, AttributeError):
        # Not Linux. CPU time is at most the time since the process began, so some changes go unnoticed.
        return time.time() - time.process_time()


def _block_of(code: types.CodeType, text: Text) -> Text | None:
    """Return the definition alone, in its line, of a file that is not Python: a page of documentation."""
    lines = text.source.splitlines(keepends=True)[code.co_firstlineno - 1 :]
    try:
        block = "".join(inspect.getblock(lines))
        ast.parse(block)
    except (SyntaxError, IndexError, tokenize.TokenError):
        return None
    return Text(text.file, "\n" * (code.co_firstlineno - 1) + block)


def _node_of(code: types.CodeType, text: Text) -> Function | None:
    here = text.functions.get(code.co_firstlineno, ())
    if code.co_name != "<lambda>":
        functions = [n for n in here if not isinstance(n, ast.Lambda)]
        named = [n for n in functions if n.name == code.co_name]
        # What wraps a function may rename its code, for tracebacks, as torch.no_grad does
        # (torch/utils/_contextlib.py, `_set_stack_frame_name`).
        return next(iter(named or functions), None)
    lambdas = [n for n in here if isinstance(n, ast.Lambda)]
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    lambdas = [n for n in lambdas if arguments == tuple(a.arg for a in _plain_arguments(n.args))]
    if len(lambdas) < 2:
        return lambdas[0] if lambdas else None
    # Code of libraries in cases has no columns; what the text compiles to has. Of equal ones any is right,
    # and the first one gives the same case again.
    widest = _widest(code) or min(filter(None, map(_widest, text.compiled_to(code))), default=None)
    for node in lambdas:
        span = span_of(node.body)
        if (span[:2], span[2:]) == widest:
            return node
    # No columns anywhere (-X no_debug_ranges): lambdas that compile to the same are the same.
    shape = _shape(code)
    same = (node for node, found in text.compiled_apart(lambdas, code.co_flags) if _shape(found) == shape)
    return next(same, lambdas[0])


def _widest(code: types.CodeType) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return where an expression stands that is compiled to *code*; None if it has no columns."""
    spans = [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if line is not None and end_line is not None and column is not None and end_column is not None
        if end_column or column
    ]
    # The value is returned by an instruction whose place is the whole body.
    return (min(s[:2] for s in spans), max(s[2:] for s in spans)) if spans else None


def _plain_arguments(arguments: ast.arguments) -> list[ast.arg]:
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


def _shape(code: types.CodeType) -> tuple[object, ...]:
    names = (*code.co_names, *code.co_freevars)
    consts = [_shape(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, sorted(names), consts
