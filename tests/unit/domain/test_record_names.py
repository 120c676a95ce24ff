"""The names of records."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from wardian.domain import record_names
from wardian.domain.record_names import is_storage, storage_entry, storage_key, storage_record

_SOURCE = Path(record_names.__file__).parents[1]


def _literals(path: Path) -> Iterator[str]:
    """Yield the texts in a module's code, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            if isinstance(node.value, bytes):
                yield node.value.decode("latin-1")
            elif isinstance(node.value, str):
                yield node.value


def test_each_name_is_spelled_once() -> None:
    spelled = [
        (path.relative_to(_SOURCE).as_posix(), text)
        for path in sorted(_SOURCE.rglob("*.py"))
        if path != Path(record_names.__file__)
        for text in _literals(path)
        if ".data/" in text or ".wardian/" in text or text == record_names.BYTE_ORDER
    ]
    assert spelled == []


@pytest.mark.parametrize("number", [0, 9, 10])
def test_the_record_of_a_storage(number: int) -> None:
    record = storage_record(number)
    assert is_storage(record)
    assert storage_key(record) == str(number)
    assert storage_entry(b"case", number) == f"case/{record}".encode()


@pytest.mark.parametrize("record", [".data/.storage", ".data/x.storage", "x.data/1.storage"])
def test_what_is_no_storage(record: str) -> None:
    assert not is_storage(record)
