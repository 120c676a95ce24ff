"""Which names a library has, by its source, or by an import where that may be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import importable, write_tree
from wardian.reading.provided import lacking

_SITE = """
--- compost/__init__.py
turn = 1
def heap():
    global steam
--- compost/worm.py
raise RuntimeError("it ran")
--- compost/made.py
globals()["late"] = 1
--- compost-2.1.dist-info/METADATA
Metadata-Version: 2.1
Name: compost
Version: 2.1
--- compost-2.1.dist-info/RECORD
compost/__init__.py,,
compost/worm.py,,
compost/made.py,,
"""


@pytest.mark.parametrize(
    ("name", "by_source", "by_import"),
    [
        ("compost.turn", [], []),
        ("compost.worm", [], []),
        ("compost.none", ["compost.none"], ["compost.none"]),
        ("compost.heap.x", ["compost.heap.x"], ["compost.heap.x"]),
        ("compost.worm.x", ["compost.worm.x"], ["compost.worm.x"]),
        ("compost.made.late", [], []),
        ("compost.made.later", [], ["compost.made.later"]),  # its source does not tell
    ],
)
def test_names_that_a_library_lacks(
    name: str, by_source: list[str], by_import: list[str], tmp_path: Path
) -> None:
    with importable(write_tree(tmp_path, _SITE)):
        assert lacking((name,), "Compost", may_import=False) == (by_source, {})
        assert "compost" not in sys.modules
        assert lacking((name,), "Compost", may_import=True)[0] == by_import


def test_nothing_is_imported_that_another_distribution_has(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, _SITE)):
        assert lacking(("compost.made.later",), "peat", may_import=True) == ([], {})
        assert "compost" not in sys.modules


def test_why_a_module_cannot_be_imported(tmp_path: Path) -> None:
    site = _SITE.replace('globals()["late"] = 1', 'globals()["late"] = 1 / 0')
    with importable(write_tree(tmp_path, site)):
        missing, broken = lacking(("compost.made.late",), "compost", may_import=True)
    assert missing == ["compost.made.late"]
    assert broken == {"compost.made": "ZeroDivisionError: division by zero"}
