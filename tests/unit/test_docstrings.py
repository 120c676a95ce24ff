"""Docstrings have a subject: none begins with "What" or "Of", which begin a part of a sentence."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parents[2] / "src" / "wardian"


def _subjectless(source: str) -> list[tuple[int, str]]:
    """Return the docstrings without a subject, also those under constants and fields, with their lines."""
    return [
        (node.lineno, text)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(text := node.value.value, str)
        and re.match(r"\s*(?:What|Of)\b", text)
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""What a module holds."""\n', [(1, "What a module holds.")]),
        ('class Row:\n    size: int\n    """Of the file."""\n', [(3, "Of the file.")]),
        ('def rows():\n    """\n    What is there.\n    """\n', [(2, "\n    What is there.\n    ")]),
        ('def rows():\n    """Return what is there."""\n    return "Of the file"\n', []),
        ('LIMIT = 3\n"""Often enough."""\n', []),
    ],
)
def test_a_docstring_without_a_subject_is_found(source: str, found: list[tuple[int, str]]) -> None:
    assert _subjectless(source) == found


def test_every_docstring_has_a_subject() -> None:
    assert [
        f"{path.relative_to(_SOURCE).as_posix()}:{line}: {text.strip().splitlines()[0]}"
        for path in sorted(_SOURCE.rglob("*.py"))
        for line, text in _subjectless(path.read_text(encoding="utf-8"))
    ] == []
