"""Syntax trees of sources, and the lines of a text that hold certain names."""

from __future__ import annotations

import ast
import gc
import inspect
import re
import sys
import warnings
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.source.parsing import TokenLines, batch, parse, probe, with_whole_stack


def test_encodings_are_those_that_python_knows() -> None:
    for source in ("# coding: latin-1\nx = 'é'".encode("latin-1"), "\ufeffx = 'é'".encode()):
        (statement,) = parse(source, "yew.py").body
        assert isinstance(statement, ast.Assign)
        assert ast.literal_eval(statement.value) == "é"


@pytest.mark.parametrize(
    "source",
    [b"x = ", b"x = 1\0", b"# coding: klingon\n", b"x = '\xff'", b"x" + b"[" * 999, b"-" * 99_999 + b"x"],
)
def test_what_is_no_source_is_a_syntax_error_with_the_file(source: bytes) -> None:
    with pytest.raises(SyntaxError) as caught:
        parse(source, "yew.py")
    assert caught.value.filename == "yew.py"


def _deep(frames: int, act: Callable[[], object]) -> object:
    return act() if not frames else _deep(frames - 1, act)


def test_it_does_not_matter_how_deep_the_caller_is() -> None:
    source = "x = " + "-" * 60 + "1"
    room = sys.getrecursionlimit() - len(inspect.stack()) - 40
    assert _deep(room, lambda: with_whole_stack(lambda: ast.dump(ast.parse(source)), "yew.py"))


def test_an_error_that_is_none_of_the_source_stays() -> None:
    def fail() -> None:
        raise KeyError(3)

    with pytest.raises(KeyError):
        with_whole_stack(fail, "yew.py")


def test_a_batch_is_silent_and_collects_nothing() -> None:
    with batch():
        assert not gc.isenabled()
        parse(rb"x = '\d'; y = 1 is 1", "yew.py")
        warnings.warn("nobody hears it", stacklevel=1)
    assert gc.isenabled()
    with pytest.raises(UserWarning):
        warnings.warn("warnings are errors again", UserWarning, stacklevel=1)


def test_every_spelling_of_a_name_can_be_searched() -> None:
    source = "# coding: latin-1\rx = 'é'\r\n"
    assert probe(source.encode("latin-1")) == "# coding: latin-1\nx = 'é'\n".encode()
    assert probe("\N{FULLWIDTH LATIN SMALL LETTER I}mport".encode()) == b"import"
    assert probe(b"import \xff\r\n") == b"import \xff\n"  # the compiler refuses it
    assert probe(b"import x\n") == b"import x\n"


@given(st.text(alphabet="ab\r\n", max_size=30))
def test_lines_of_a_probe_are_those_of_a_syntax_tree(text: str) -> None:
    assert probe(text.encode()).decode() == text.replace("\r\n", "\n").replace("\r", "\n")


SOURCE = """@wrap
def f():
    return 1
import a
try:
    x = 1
except E:
    import b
y = 2
"""


def _held(tokens: list[bytes], words: dict[bytes, re.Pattern[bytes]] | None = None) -> list[bool]:
    lines = TokenLines(SOURCE.encode(), tokens, words)
    return [lines.may_be_in(node) for node in ast.parse(SOURCE).body]


def test_statements_that_may_hold_a_token_are_told() -> None:
    assert _held([b"import"]) == [False, True, True, False]
    assert _held([b"wrap"]) == [True, False, False, False]  # decorators stand above the first line
    assert _held([b"return"]) == [True, False, False, False]
    assert _held([b"y", b"import a"]) == [False, True, True, True]
    assert _held([b"nobody"]) == [False] * 4
    assert _held([], {b"x": re.compile(rb"x\b")}) == [False, False, True, False]
    assert _held([], {b"E": re.compile(rb"E[a-z]")}) == [False] * 4


def test_without_a_token_there_are_no_lines_and_what_has_none_may_hold_it() -> None:
    lines = TokenLines(b"x = 1", [b"import"])
    assert not lines
    assert TokenLines(b"import x", [b"import"])
    assert lines.may_be_in(ast.Load())


@given(st.lists(st.sampled_from(["x = 1", "import a", "f(\n  b\n)", "import c; y = 2"]), max_size=8))
def test_a_statement_that_holds_the_token_is_never_passed_over(parts: list[str]) -> None:
    source = "\n".join(parts)
    lines = TokenLines(source.encode(), [b"import"])
    for node in ast.parse(source).body:
        own = any(isinstance(inner, ast.Import) for inner in ast.walk(node))
        assert lines.may_be_in(node) or not own
