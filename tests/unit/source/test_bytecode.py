"""Imports that bytecode shows, as the scan of its source does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.domain.graph import ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.source.bytecode import scan_code
from wardian.source.parsing import parse
from wardian.source.scanning import scan


def _scan(source: str, module: str = "shop.nets.head", *, is_package: bool = False) -> SourceFacts:
    code = compile(source, "head.py", "exec")
    return scan_code(code, ModuleName(module), is_package=is_package, file="head.pyc")


def _named(facts: SourceFacts) -> tuple[list[str], list[str]]:
    return [edge.imported for edge in facts.imports], [edge.imported for edge in facts.candidates]


@pytest.mark.parametrize(
    ("source", "is_package", "imports", "candidates"),
    [
        ("import a.b", False, ["a.b"], []),
        ("import a as b, c", False, ["a", "c"], []),
        ("from a import b, c as d", False, ["a"], ["a.b", "a.c"]),
        ("from a import *", False, ["a"], []),
        ("from . import a", False, ["shop.nets"], ["shop.nets.a"]),
        ("from .a import b", False, ["shop.nets.a"], ["shop.nets.a.b"]),
        ("from ..a import b", False, ["shop.a"], ["shop.a.b"]),
        ("from .a import b", True, ["shop.nets.head.a"], ["shop.nets.head.a.b"]),
        ("from ...... import a", False, [], [".a"]),
    ],
)
def test_names_are_absolute(source: str, is_package: bool, imports: list[str], candidates: list[str]) -> None:
    assert _named(_scan(source, is_package=is_package)) == (imports, candidates)


def test_imports_have_their_line_file_and_place() -> None:
    facts = _scan("x = 1\nimport a\ndef f():\n\n    import b\n    return lambda: __import__('c')\n")
    assert [(str(edge.imported), edge.line, edge.context, edge.file) for edge in facts.imports] == [
        ("a", 2, ImportContext.GUARDED, "head.pyc"),
        ("b", 5, ImportContext.FUNCTION, "head.pyc"),
    ]


def test_what_cannot_be_told_counts_as_looking_at_files() -> None:
    facts = _scan("import a\nimport a\n")
    assert len(facts.imports) == 2  # each has its line
    assert (facts.looks_at_files, facts.dynamic, facts.registers, facts.operators) == (
        True,
        False,
        False,
        frozenset(),
    )


statements = st.sampled_from(
    [
        "import a",
        "import a.b as c",
        "from a import b, c",
        "from . import a",
        "from .a import b",
        "from ..a import b",
    ]
)


@given(st.lists(statements, max_size=6), st.booleans())
def test_bytecode_shows_the_imports_that_its_source_does(lines: list[str], is_package: bool) -> None:
    source = "\n".join(lines) + "\n"
    name = ModuleName("shop.nets.head")
    tree = parse(source.encode(), "head.py")
    scanned = scan(source.encode(), name, is_package=is_package, file="head.py", tree=tree)
    assert _named(_scan(source, is_package=is_package)) == _named(scanned)
