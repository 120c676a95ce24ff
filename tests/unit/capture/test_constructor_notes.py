"""Which entries of tables are about a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.capture.constructor_notes import TableEntry, find_entries

_LIBRARY = """
--- nursery/__init__.py
--- nursery/base.py
class Plant:
    pass
NOTES, ALSO = {}, {}
--- nursery/roses.py
from nursery.base import NOTES as SAME, Plant
class Rose(Plant, dict):
    pass
class Bed(dict):
    pass
OWN, EMPTY, __hidden__ = {}, {}, {}
LIST = [Rose]
"""


@pytest.fixture
def library(tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    with importable(write_tree(tmp_path, _LIBRARY)) as load:
        yield load("nursery.base"), load("nursery.roses")


def test_tables_of_the_modules_of_a_class_and_those_above_it_are_looked_at(library: tuple[Any, Any]) -> None:
    base, roses = library
    base.ALSO[roses.Rose] = None
    roses.OWN |= {str(roses.Rose): 1, roses.Rose: 2, base.Plant: 3, "Rose": 4}
    roses.__hidden__[roses.Rose] = 5
    assert list(find_entries([roses.Rose])) == [
        TableEntry("nursery.roses", "OWN", roses.Rose, True, 1),
        TableEntry("nursery.base", "ALSO", roses.Rose, False, None),
    ]


def test_a_table_that_two_modules_have_is_told_once_for_each_class(library: tuple[Any, Any]) -> None:
    base, roses = library
    base.NOTES |= {roses.Rose: 1, base.Plant: 2}
    found = list(find_entries([roses.Rose, base.Plant, roses.Rose]))
    assert [(entry.module, entry.name, entry.value) for entry in found] == [
        ("nursery.roses", "SAME", 1),
        ("nursery.base", "NOTES", 2),
    ]


def test_a_table_is_not_asked_by_its_own_methods(library: tuple[Any, Any]) -> None:
    _, roses = library

    class Strict(dict[object, object]):
        def __getitem__(self, key: object) -> object:
            raise AssertionError("no code of a library runs")

        get = __contains__ = __getitem__  # type: ignore[assignment]

    roses.STRICT = Strict({roses.Rose: 7})
    assert [entry.value for entry in find_entries([roses.Rose])] == [7]


def test_classes_of_python_and_of_no_module_have_no_tables() -> None:
    class Local(dict[str, int]):
        __module__ = "nowhere"

    assert list(find_entries([Local, dict])) == []
