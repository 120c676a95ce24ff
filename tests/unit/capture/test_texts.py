"""Which syntax a live code object has, and how parts of a text are taken."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import run_python
from tests.unit.capture.transplant import execute
from wardian.capture.texts import (
    Text,
    find_function,
    first_line,
    is_source_of,
    read_texts,
    span_of,
    verbatim,
    was_changed,
)
from wardian.source.locations import without_columns

_SOURCE = "é = 'ä'; b = [\n    2,  # tön\n]\nlast = b"


def test_a_span_counts_bytes_as_syntax_does() -> None:
    text = Text("a.py", _SOURCE)
    assert [text.slice(span_of(node)) for node in text.tree.body] == _SOURCE.replace("; ", "\n", 1).replace(
        "]\n", "]\0"
    ).replace("'\n", "'\0").split("\0")


@given(
    st.lists(st.sampled_from(["é", "ab", " ", "c", "\n"]), min_size=1, max_size=12).map("".join), st.data()
)
def test_replacing_parts_leaves_the_rest(source: str, data: st.DataObject) -> None:
    text = Text("a.py", source)
    places = [
        (number, len(line[:index].encode()))
        for number, line in enumerate(source.splitlines(keepends=True), 1)
        for index in range(len(line.rstrip("\n")) + 1)
    ]
    cuts = sorted(data.draw(st.lists(st.sampled_from(places), min_size=4, max_size=4)))
    whole = (*places[0], *places[-1])
    first, second = (*cuts[0], *cuts[1]), (*cuts[2], *cuts[3])
    assert text.edited(whole, [(second, text.slice(second)), (first, text.slice(first))]) == text.slice(whole)
    cut = text.edited(whole, [(first, "<"), (second, ">")]) if first != second else ""
    assert (
        len(cut) == 0
        or len(cut) + len(text.slice(first)) + len(text.slice(second)) == len(text.slice(whole)) + 2
    )


def test_text_that_is_no_python_has_no_syntax_and_no_code() -> None:
    text = Text("a.md", "# A page\n\n`x =")
    assert text.tree.body == []
    assert text.functions == {}
    assert not text.holds(compile("x = 1", "a.md", "exec"))


def test_a_text_holds_the_code_that_it_compiles_to() -> None:
    source = "def f(x: int):\n    return [lambda: x]\n"
    text = Text("a.py", source)
    own = compile(source, "a.py", "exec", dont_inherit=True)
    f = next(c for c in own.co_consts if isinstance(c, types.CodeType))
    assert all(map(text.holds, [own, f, *[c for c in f.co_consts if isinstance(c, types.CodeType)]]))
    assert (
        text.holds(compile(f"from __future__ import annotations\n{source}", "a.py", "exec").replace())
        is False
    )
    # A shell hands its own `from __future__ import annotations` on.
    import __future__

    handed = compile(source, "a.py", "exec", __future__.annotations.compiler_flag, dont_inherit=True)
    assert text.holds(handed)
    assert not text.holds(compile(source.replace("[", "(").replace("]", ")"), "a.py", "exec"))


def test_a_statement_begins_with_its_decorators() -> None:
    tree = ast.parse("\n@a\n@b\ndef f():\n    pass\n")
    assert first_line(tree.body[0]) == 2
    assert span_of(tree.body[0])[0] == 4


def _verbatim(source: str, edit: str = "") -> str:
    text = Text("a.py", source)
    node = next(n for n in ast.walk(text.tree) if isinstance(n, ast.FunctionDef | ast.Assign))
    return verbatim(
        text, node, [(span_of(node.value), edit)] if edit and isinstance(node, ast.Assign) else []
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a  =  1  # one\nb = 2\n", "a  =  1  # one\n"),
        ("@wrap\ndef f(): pass", "@wrap\ndef f(): pass\n"),
        ("if x:\n    @wrap\n    def f():\n        pass\n", "@wrap\ndef f():\n    pass\n"),
        ("x(); a  =  1", "a = 1\n"),
        ("a  =  1; x()", "a = 1\n"),
        ("if x: a  =  1", "a = 1\n"),
        # Text in quotes keeps its spaces.
        ("if x:\n    a = '''\n    b'''\n", "if True:\n    a = '''\n    b'''\n"),
    ],
)
def test_a_statement_is_taken_as_it_stands_and_moved_to_the_left(source: str, expected: str) -> None:
    assert _verbatim(source) == expected


@pytest.mark.parametrize("source", ["a = 1  # one\n", "if x:\n    a = 1  # one\n"])
def test_a_statement_is_taken_with_edits(source: str) -> None:
    assert _verbatim(source, "[2]") == "a = [2]  # one\n"
    assert _verbatim(f"{source.rstrip()[:-7]}; x()", "[2]") == "a = [2]\n"


def test_texts_come_from_what_ran_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "nursery.py"
    file.write_bytes("# coding: latin-1\r\na = 'é'\r\n".encode("latin-1"))
    monkeypatch.setattr(linecache, "cache", {})
    assert [t.source for t in read_texts(str(file))] == ["# coding: latin-1\na = 'é'\n"]
    linecache.cache[str(file)] = (3, None, ["a = 0\n"], str(file))

    class Loader:
        def get_source(self, name: str) -> str:
            assert name == "nursery"
            return "a = 1\n"

    module: Any = types.ModuleType("nursery")
    module.__file__, module.__loader__ = str(file), Loader()
    monkeypatch.setitem(sys.modules, "nursery", module)
    assert [t.source[:5] for t in read_texts(str(file))] == ["a = 0", "a = 1", "# cod"]
    assert next(read_texts(str(file))) is next(read_texts(str(file)))  # its syntax is known
    file.write_text("a = 0\n")
    assert [t.source for t in read_texts(str(file))] == ["a = 0\n", "a = 1\n"]


def test_what_cannot_be_read_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "bytes.py").write_bytes(b"a = '\xff'\n")
    (tmp_path / "unknown.py").write_bytes(b"# coding: klingon\n")
    for name in ("bytes.py", "unknown.py", "missing.py", "", "a\0b"):
        assert list(read_texts(str(tmp_path / name) if name.endswith(".py") else name)) == []


def test_the_script_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("a = 1\n")
    main: Any = types.ModuleType("__main__")
    main.__file__ = str(tmp_path / "train.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    (text,) = read_texts("elsewhere/train.py")
    assert (text.file, text.source) == ("elsewhere/train.py", "a = 1\n")
    assert list(read_texts("elsewhere/other.py")) == []


def _loaded(path: Path, source: str) -> dict[str, Any]:
    path.write_text(source)
    namespace: dict[str, Any] = {}
    exec(compile(source, str(path), "exec", dont_inherit=True), namespace)
    return namespace


def _found(function: Callable[..., object]) -> str | None:
    found = find_function(function.__code__)
    return None if found is None else found[0].slice(span_of(found[1]))


def test_lambdas_of_one_line_are_told_apart() -> None:
    made = execute("many = [lambda x: x + 1, lambda x: x + 2, lambda y: y, lambda x, *, k: k]\n")
    assert [_found(f) for f in made["many"]] == [
        "lambda x: x + 1",
        "lambda x: x + 2",
        "lambda y: y",
        "lambda x, *, k: k",
    ]


def test_lambdas_are_told_apart_without_columns() -> None:
    made = execute("many = [lambda x: x + 1, lambda x: x - 1, lambda x: x + 2, lambda x: x + 2]\n")
    for function, expected in zip(made["many"], ["x + 1", "x - 1", "x + 2", "x + 2"], strict=True):
        function.__code__ = without_columns(function.__code__)
        assert _found(function) == f"lambda x: {expected}"


def test_lambdas_with_variables_of_a_function_are_told_apart_without_columns() -> None:
    made = execute("def make(a):\n    return [lambda x: x + a, lambda x: x - a]\nmany = make(1)\n")
    for function, expected in zip(made["many"], ["x + a", "x - a"], strict=True):
        function.__code__ = without_columns(function.__code__)
        assert _found(function) == f"lambda x: {expected}"


def test_of_equal_lambdas_of_one_line_the_first_is_taken() -> None:
    source = "many = [lambda x: x, lambda x: x, lambda x: x]\n"
    (function, *_) = execute(source)["many"]
    found = find_function(without_columns(function.__code__))
    assert found is not None
    assert found[1].col_offset == source.index("lambda")


def test_lambdas_are_told_apart_where_no_code_has_columns(tmp_path: Path) -> None:
    script = """
        import ast
        from wardian.capture.texts import find_function
        from shelf import many

        for function in many:
            print(ast.unparse(find_function(function.__code__)[1]))
    """
    lambdas = [
        *("lambda x: x + 1", "lambda x: x - 1", "lambda x: x + 2", "lambda x: x + 2"),
        *("lambda x: x + a", "lambda x: x - a", "lambda x: x.__p", "lambda x: x.__q"),
        *("lambda x: lambda y: y + x", "lambda x: lambda y: y * x"),
    ]
    source = (
        f"class Shelf:\n    def make(self, a):\n        return [{', '.join(f'({s})' for s in lambdas)}]\n"
    )
    (tmp_path / "shelf.py").write_text(f"{source}many = Shelf().make(1)\nmany.append(many[9](2))\n")
    environment = {"PYTHONNODEBUGRANGES": "1"}
    told = run_python(script, folder=tmp_path, paths=(tmp_path,), isolated=True, **environment)
    assert told.splitlines() == [*lambdas, "lambda y: y * x"]


def test_a_function_whose_code_was_renamed_is_found() -> None:
    made = execute("def f():\n    return 1\n")
    made["f"].__code__ = made["f"].__code__.replace(co_name="wrapped_f")
    assert _found(made["f"]) == "def f():\n    return 1"


def test_a_function_in_a_page_is_found_in_its_line(tmp_path: Path) -> None:
    page = "# A page\n\n    def f():\n        return 1\n\nAnd on it goes, isn't it?\n"
    block = "\n\n" + textwrap.dedent("\n".join(page.splitlines()[2:4])) + "\n"
    (tmp_path / "page.md").write_text(page.replace("    def", "def").replace("        return", "    return"))
    namespace: dict[str, Any] = {}
    exec(compile(block, str(tmp_path / "page.md"), "exec"), namespace)
    assert _found(namespace["f"]) == "def f():\n    return 1"


def test_a_process_at_which_nobody_has_looked_knows_when_it_began(tmp_path: Path) -> None:
    script = """
        from pathlib import Path
        from wardian.capture.texts import was_changed

        Path("mine.py").write_text("")
        print(was_changed("mine.py"), was_changed("old.py"))
    """
    (tmp_path / "old.py").write_text("")
    os.utime(tmp_path / "old.py", times=(0, 0))
    assert run_python(script, folder=tmp_path).split() == ["True", "False"]


def test_source_that_was_changed_since_is_no_source(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    made = _loaded(path, "def f():\n    return 1\n")
    assert _found(made["f"]) == "def f():\n    return 1"
    path.write_text("def f():\n    return 2\n")
    assert was_changed(str(path))
    (text,) = read_texts(str(path))
    assert _found(made["f"]) is None
    assert not is_source_of(text, made["f"].__code__)
    # Text that a tool rewrites before it is compiled never gives the very code.
    os.utime(path, (1, 1))
    assert not was_changed(str(path))
    assert _found(made["f"]) == "def f():\n    return 2"
    assert is_source_of(text, made["f"].__code__)


def test_code_of_no_file_has_no_syntax() -> None:
    assert find_function(compile("lambda: 1", "<made up>", "eval").co_consts[0]) is None
    assert not was_changed("<made up>")


class _Loader:
    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, name: str) -> str:
        return self._source


def _module(file: str, source: str) -> types.ModuleType:
    module = types.ModuleType("text_of_a_test")
    vars(module).update(__file__=file, __loader__=_Loader(source))
    return module


def _remember(patch: pytest.MonkeyPatch, file: str, source: str) -> None:
    patch.setitem(linecache.cache, file, (len(source), None, source.splitlines(keepends=True), file))


def test_each_text_is_told_once_what_was_cached_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fern.py"
    path.write_text("disk = 1\n")
    _remember(monkeypatch, str(path), "cached = 1\n")
    monkeypatch.setitem(sys.modules, "text_of_a_test", _module(str(path), "loaded = 1\n"))
    assert [text.source for text in read_texts(str(path))] == ["cached = 1\n", "loaded = 1\n", "disk = 1\n"]
    path.write_text("cached = 1\n")
    assert [text.source for text in read_texts(str(path))] == ["cached = 1\n", "loaded = 1\n"]


def test_modules_are_looked_at_only_for_whoever_wants_more_than_the_first_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _remember(monkeypatch, "<cell 1>", "cached = 1\n")
    texts = read_texts("<cell 1>")
    assert next(texts).source == "cached = 1\n"
    monkeypatch.setitem(sys.modules, "text_of_a_test", _module("<cell 1>", "loaded = 1\n"))
    assert [text.source for text in texts] == ["loaded = 1\n"]


def test_a_cell_that_another_one_of_its_name_has_replaced_is_not_the_source_of_a_function() -> None:
    def define(source: str) -> types.FunctionType:
        linecache.cache["<oak>"] = (len(source), None, source.splitlines(keepends=True), "<oak>")
        namespace: dict[str, types.FunctionType] = {}
        exec(compile(source, "<oak>", "exec"), namespace)
        return namespace["grow"]

    old, new = define("def grow(x):\n    return x + 1\n"), define("def grow(x):\n    return x + 1000\n")
    try:
        assert find_function(old.__code__) is None
        assert find_function(new.__code__) is not None
        assert find_function(new.__code__.replace(co_linetable=old.__code__.co_linetable[:2])) is not None
    finally:
        del linecache.cache["<oak>"]
