"""What the statements of a script bind, set and register."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.unit.capture.transplant import execute, execute_with_function
from wardian.capture.statements import (
    Binding,
    Statements,
    annotation_names,
    assigned,
    bound_names,
    decorators_of,
    functions_in,
    holds,
    is_generated,
    is_harmless,
    is_lambda,
    statements,
)
from wardian.capture.texts import Text

_BLOCKS = """
if a:
    b = 1
elif c:
    d = 1
for e in f:
    g = 1
else:
    h = 1
while i:
    j = 1
with k as l:
    m = 1
try:
    n = 1
except Error as o:
    p = 1
else:
    q = 1
finally:
    r = 1
match s:
    case t:
        u = 1
def v():
    w = 1
class X:
    y = 1
"""


def _statement(source: str) -> ast.stmt:
    return ast.parse(source).body[0]


def _names(body: list[ast.stmt], *, into_loops: bool) -> str:
    return "".join(name for node in statements(body, into_loops=into_loops) for name in bound_names(node))


def test_statements_of_blocks_are_at_module_level_and_those_of_functions_are_not() -> None:
    body = ast.parse(_BLOCKS).body
    assert _names(body, into_loops=True) == "bdeghjlmnpqruvX"
    # A statement in a loop cannot be taken without it.
    assert _names(body, into_loops=False) == "bdelmnpqruvX"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(a): b = 1", ["f"]),
        ("async def f(): pass", ["f"]),
        ("class C: pass", ["C"]),
        ("import a.b, c.d as e", ["a", "e"]),
        ("from a import b, c as d", ["b", "d"]),
        ("from a import *", ["*"]),
        ("a = b, (c, *d) = x", ["a", "b", "c", "d"]),
        ("a.b = c[d] = x", []),
        ("a: int = 1", ["a"]),
        ("a.b: int = 1", []),
        ("a += b", ["a"]),
        ("a.b += c", []),
        ("for a, (b, c) in d: e = 1", ["a", "b", "c"]),
        ("with a as b: pass", ["b"]),
        ("with a as (b, c), d as e.f, g: pass", ["b", "c"]),
        ("f(a)", []),
    ],
)
def test_a_statement_binds_names_itself(source: str, names: list[str]) -> None:
    assert list(bound_names(_statement(source))) == names


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is of Python 3.12")
def test_a_type_alias_binds_its_name() -> None:
    assert list(bound_names(_statement("type Rows = list[int]"))) == ["Rows"]


@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        ("a = 1", "a", "1"),
        ("a: int = 2", "a", "2"),
        ("a: int", "a", None),
        ("a = b = 1", "", None),
        ("a, b = 1, 2", "", None),
        ("a.b = 1", "", None),
        ("a += 1", "", None),
    ],
)
def test_an_assignment_gives_one_name_a_value(source: str, name: str, value: str | None) -> None:
    found, expression = assigned(_statement(source))
    assert (found, expression and ast.unparse(expression)) == (name, value)


@pytest.mark.parametrize(
    ("source", "harmless"),
    [
        ("lock = Lock()", True),
        ("lock = Lock(2, name='a')", True),
        ("FLAGS = flags.FLAGS", True),
        ("x = make().flag", False),
        ("x = run(model)", False),
        ("x = run(key=model.size)", False),
        ("x = y", False),
        ("x = 2", False),
        ("run()", True),
        ("del x", False),
    ],
)
def test_a_harmless_statement_makes_an_object_of_nothing(source: str, harmless: bool) -> None:
    assert is_harmless(_statement(source)) is harmless


def test_decorators_are_told_without_their_arguments() -> None:
    assert decorators_of(_statement("@a.b\n@c(int)\ndef f(): pass")) == ["a.b", "c"]
    assert decorators_of(_statement("@a\nclass C: pass")) == []


@pytest.mark.parametrize(
    ("source", "expected"), [("f = lambda: 1", True), ("f = g = lambda: 1", False), ("f = g", False)]
)
def test_a_lambda_has_one_name(source: str, expected: bool) -> None:
    assert is_lambda(_statement(source)) is expected


def test_names_in_annotations() -> None:
    node = _statement("def f(a: Rows, b: list[Bed] = make) -> 'Text':\n    c: Tool = d")
    assert sorted(annotation_names(node)) == ["Bed", "Rows", "Tool", "list"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [("<string>", True), ("<attrs generated init Bed>", True), ("<ipython-input-1>", False), ("a.py", False)],
)
def test_what_a_library_made_in_the_run_is_generated(file: str, expected: bool) -> None:
    assert is_generated(compile("1", file, "exec")) is expected


def test_functions_show_where_a_value_was_defined() -> None:
    made = execute(
        "import functools\n"
        "def f():\n    pass\n"
        "@functools.wraps(f)\ndef g():\n    pass\n"
        "class C:\n"
        "    def plain(self):\n        pass\n"
        "    @classmethod\n    def of_class(cls):\n        pass\n"
        "    @property\n    def got(self):\n        pass\n"
        "    foreign = f\n"
    )
    c, f = made["C"], made["f"]
    assert list(functions_in(f)) == [f]
    assert list(functions_in(made["g"])) == [made["g"], f]
    assert list(dict.fromkeys(functions_in(c))) == [
        c.plain,
        vars(c)["of_class"].__func__,
        vars(c)["got"].fget,
    ]
    assert list(functions_in(functools.lru_cache(f))) == [f]
    assert list(functions_in(3)) == []


def test_a_statement_holds_its_lines_with_the_decorators() -> None:
    text = Text("/somewhere/train.py", "a = 1\n@wrap\ndef f():\n    pass\nb = 2\n")
    binding = Binding(text, text.tree.body[1], (0, 3, 0))
    # A script has been started by a relative path.
    assert [line for line in range(1, 6) if holds(binding, {("train.py", line)})] == [2, 3, 4]
    assert not holds(binding, {("other.py", 3)})
    assert not holds(binding, set())


# A script


def test_bindings_come_in_the_order_of_execution_over_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    main: dict[str, Any] = {"__name__": "__main__"}
    cells = ["x = 1\n", "x = 2\nfor x in (3,):\n    x = 4\n", "never = (\n"]
    monkeypatch.setattr(linecache, "cache", {})
    for number, source in enumerate(cells):
        file = f"<ipython-input-{number}-cells>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    linecache.cache["<string>"] = (5, None, ["x = 9\n"], "<string>")
    script = Statements(main)
    assert [(b.order[:2], b.text.file[15]) for b in script.bindings("x")] == [
        ((0, 1), "0"),
        ((1, 1), "1"),
        ((1, 2), "1"),
        ((1, 3), "1"),
    ]
    assert [b.node.lineno for b in script.apart()] == [1, 1, 2]
    assert script.bindings("never") == []
    # A cell that comes later is read, too; a namespace that is no `__main__` has no cells but its functions'.
    linecache.cache["<ipython-input-9-cells>"] = (6, None, ["y = 1\n"], "")
    assert len(script.bindings("y")) == 1
    assert Statements({"__name__": "other"}).bindings("x") == []


def test_a_script_is_its_file_and_those_of_its_functions(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("a = 1\ndef f():\n    pass\n")
    made = execute_with_function("b = 2\n", __file__=str(file))
    script = Statements(made)
    assert [len(script.bindings(name)) for name in ("a", "b", "ending")] == [1, 1, 1]
    foreign = Statements({"__name__": "other", "ending": made["ending"]})
    assert foreign.bindings("b") == []  # the function has other globals


def test_a_script_that_was_started_by_a_relative_path_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linecache, "cache", {})
    file = tmp_path / "train.py"
    file.write_text("def f():\n    pass\n")
    variables: dict[str, Any] = {"__name__": "__main__", "__file__": str(file)}
    exec(compile(file.read_text(), "elsewhere/train.py", "exec"), variables)
    assert len(Statements(variables).bindings("f")) == 1


def test_registrations_and_settings_are_found_where_they_can_be_taken() -> None:
    made = execute_with_function(
        "import copyreg, functools\n"
        "@functools.singledispatch\ndef show(x):\n    pass\n"
        "if True:\n    copyreg.pickle(int, show)\n"
        "while False:\n    copyreg.pickle(str, show)\n"
        "copyreg.RATE = 2\nshow.kind = 3\n"
    )
    script = Statements(made)
    script.read()
    assert [(b.node.lineno, found.names) for b, found in script.registrations] == [
        (6, frozenset({"int", "show"}))
    ]
    assert [(owner.__name__, name) for owner, name in script.settings()] == [("copyreg", "RATE")]


def test_what_a_script_sets_in_itself_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    own = types.ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", own)
    made = execute_with_function("import sys\nown.RATE = 2\nsys.RATE = 2\n", own=own)
    try:
        assert list(Statements(made).settings()) == [(sys, "RATE")]
    finally:
        del sys.RATE  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("<ipython-input-1-0123>", ["rate"]),
        ("/tmp/ipykernel_17/2941.py", ["rate"]),
        ("<attrs generated init shop.Item>", []),
        ("<sqlalchemy generated _generative() wrapper for sqlalchemy.sql.base.Executable.options>", []),
        ("<string>", []),
        ("/project/other.py", []),
    ],
)
def test_texts_that_libraries_generate_are_no_cells(
    file: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linecache, "cache", {file: (9, None, ["rate = 3\n"], file)})
    statements = Statements({"__name__": "__main__"})
    assert [binding.node.targets[0].id for binding in statements.bindings("rate")] == found  # type: ignore[attr-defined]
