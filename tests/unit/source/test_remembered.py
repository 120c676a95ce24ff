"""What was made of a source is given again for the same source under the same name, and for no other."""

from __future__ import annotations

import inspect
import marshal
import sys
from typing import Any

import pytest

from wardian.domain.names import ModuleName
from wardian.source.locations import without_columns
from wardian.source.remembered import compile_once, scan_once
from wardian.source.rewriting import compile_module, dump_code

SOURCE = b"import mylib.ops\nfrom . import layers\n"
USUAL: dict[str, Any] = {
    "source": SOURCE,
    "module": ModuleName("app.model"),
    "is_package": False,
    "filename": "app/model.py",
    "roots": frozenset({"app", "mylib"}),
}
WHOLE: dict[str, Any] = {**USUAL, "columns": True}


@pytest.mark.parametrize(
    "change",
    [
        {"source": SOURCE + b"x = 1\n"},
        {"module": ModuleName("app.deep.model")},
        {"is_package": True},
        {"filename": "app/other.py"},
        {"roots": frozenset({"app"})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_bytecode_is_that_of_all_it_depends_on(change: dict[str, Any]) -> None:
    usual = compile_once(**WHOLE)
    assert usual is compile_once(**WHOLE)
    other = compile_once(**{**WHOLE, **change})
    assert usual == dump_code(compile_module(**USUAL))
    assert other == dump_code(compile_module(**{**USUAL, **change}))
    assert other != usual


def test_roots_that_a_source_does_not_mention_change_nothing() -> None:
    assert compile_once(**WHOLE) is compile_once(**{**WHOLE, "roots": frozenset({"app", "mylib", "timm"})})


def test_bytecode_without_columns_is_another_and_also_remembered() -> None:
    bare = compile_once(**USUAL, columns=False)
    assert bare is compile_once(**USUAL, columns=False)
    assert bare == dump_code(without_columns(compile_module(**USUAL)))
    assert bare != compile_once(**WHOLE)


def test_code_that_is_nested_deeply_is_compiled_wherever_the_caller_stands() -> None:
    source = b"f = " + b"lambda: " * 80 + b"1\n"

    def deep(levels: int) -> bytes:
        if levels:
            return deep(levels - 1)
        return compile_once(**{**USUAL, "source": source}, columns=False)

    room = sys.getrecursionlimit() - len(inspect.stack(0))
    assert deep(room - 60) == dump_code(
        without_columns(compile(source, "app/model.py", "exec", dont_inherit=True))
    )


def test_a_name_is_mentioned_however_it_is_spelled() -> None:
    fullwidth = "import \N{FULLWIDTH LATIN SMALL LETTER M}ylib\n".encode()
    code = marshal.loads(compile_once(**{**WHOLE, "source": fullwidth}))
    assert code.co_consts[0] == 2  # it climbs to the root


def test_facts_name_the_file_that_was_asked_for() -> None:
    facts = [
        scan_once(SOURCE, ModuleName("app.model"), is_package=False, file=file) for file in ("a.py", "b.py")
    ]
    assert [found.imports[0].file for found in facts] == ["a.py", "b.py"]


def test_an_error_is_not_remembered() -> None:
    for _ in range(2):
        with pytest.raises(SyntaxError, match="invalid syntax") as caught:
            scan_once(b"import", ModuleName("app"), is_package=False, file="app.py")
        assert caught.value.filename == "app.py"
