"""Syntax trees of Python source, in bounded memory and time."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from wardian.collector import collector_paused

__all__ = ["TokenLines", "batch", "parse", "probe", "with_whole_stack"]


_T = TypeVar("_T")


_LINE_END = re.compile(rb"\r\n?")


@contextmanager
def batch() -> Iterator[None]:
    """Make parsing and compiling many sources five times faster, and silent.

    The garbage collector is off, because it walks all syntax trees again and again; warnings of the
    compiler about other people's code (invalid escapes, `is` with a literal) are ignored, because under
    `-W error` they would become syntax errors. Both are settings of the process: use it where no other
    thread of ours compiles.

    >>> with batch():
    ...     tree = parse(b"x = 1", "mylib.py")
    """
    with collector_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(source: bytes, file: str) -> ast.Module:
    """Parse *source* once for `scan` and `wardian.source.rewriting.compile_module`.

    Args:
        source: Bytes as they are in the file; a BOM and a PEP 263 encoding are respected.
        file: Path to name in errors.

    Returns:
        The tree, which neither of the two alters.

    Raises:
        SyntaxError: if it is not source of this interpreter's Python; `filename` is *file*.

    >>> parse(b"import mylib", "app.py").body[0].names[0].name
    'mylib'
    """
    tree: ast.Module = with_whole_stack(partial(ast.parse, source, file), file)
    return tree


def with_whole_stack(run: Callable[[], _T], file: str) -> _T:
    """Call the compiler so that it does not matter how deep the caller already is.

    Between syntax trees and the compiler's own trees stands a recursion that counts against the limit of
    Python frames (CPython 3.11), and imports easily take hundreds of frames.

    Args:
        run: Parses or compiles *file*.
        file: Path to name in errors.

    Returns:
        What *run* returns.

    Raises:
        SyntaxError: if the source is invalid, holds a null byte or is nested too deeply for this
            interpreter; `filename` is *file*.
    """
    try:
        try:
            return run()
        except RecursionError:
            # A new thread begins with an empty stack.
            from concurrent.futures import ThreadPoolExecutor  # it imports logging

            with ThreadPoolExecutor(1) as pool:
                return pool.submit(run).result()
    except SyntaxError as error:
        error.filename = file  # a null byte comes without
        raise
    except (RecursionError, MemoryError) as error:
        # The second is how the parser of CPython 3.11 tells of its own limit.
        raise SyntaxError("nested too deeply", (file, 1, 1, None, 1, 1)) from error
    except ValueError as error:  # a null byte, before CPython 3.12
        raise SyntaxError(str(error), (file, 1, 1, None, 1, 1)) from error


def probe(source: bytes) -> bytes:
    r"""Return *source* in a form in which every token can be searched as ASCII bytes.

    Lines are those of the syntax tree and end with a line feed. The encoding is UTF-8 and text is in the
    normal form (NFKC) in which Python compares identifiers, so that no spelling of a name escapes.

    >>> probe("import \N{FULLWIDTH LATIN SMALL LETTER X}\r\n".encode())
    b'import x\n'
    """
    # First, as the compiler does: the line that names the encoding may end so, too.
    source = _LINE_END.sub(b"\n", source) if b"\r" in source else source
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        if encoding != "utf-8" or not source.isascii():
            source = unicodedata.normalize("NFKC", source.decode(encoding)).encode()
    except (SyntaxError, UnicodeDecodeError):
        pass  # the compiler refuses it, with the better message
    return source


class TokenLines:
    r"""The lines of a text that hold one of some tokens.

    Args:
        text: What `probe` returned.
        tokens: Parts of names to look for.
        words: More of them, each with a pattern that tells the names meant from those that contain it.

    >>> lines = TokenLines(b"x = 1\nimport mylib\n", [b"import"])
    >>> [lines.may_be_in(node) for node in ast.parse("x = 1\nimport mylib\n").body]
    [False, True]
    """

    def __init__(
        self, text: bytes, tokens: Iterable[bytes], words: Mapping[bytes, re.Pattern[bytes]] | None = None
    ) -> None:
        places: list[int] = []
        for token in tokens:
            place = text.find(token)
            while place != -1:
                places.append(place)
                place = text.find(token, place + len(token))
        for token, word in (words or {}).items():
            place = text.find(token)
            while place != -1:
                if word.match(text, place):
                    places.append(place)
                place = text.find(token, place + len(token))
        places.sort()
        self._lines: list[int] = []
        line, last = 1, 0
        for place in places:
            line += text.count(b"\n", last, place)
            last = place
            if not self._lines or self._lines[-1] != line:
                self._lines.append(line)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def may_be_in(self, node: ast.AST) -> bool:
        """Return whether *node* may hold one of the tokens; False is certain."""
        if not isinstance(node, ast.stmt | ast.expr | ast.excepthandler):
            return True  # it has no lines, but what is in it has
        # Decorators stand above the line that a definition counts as its first.
        decorators = getattr(node, "decorator_list", None)
        first = decorators[0].lineno if decorators else node.lineno
        at = bisect_left(self._lines, first)
        return at < len(self._lines) and self._lines[at] <= (node.end_lineno or node.lineno)
