"""What a case has is told from the names of its records and its manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.loading.importing.contents import Contents
from wardian.reading.foreign import read_manifest

SOURCES = """
--- oak/__init__.py
--- oak/leaf.py
try:
    import numpy
except ImportError:
    numpy = None
import scipy
--- oak/data/notes.txt
--- acorn.py
--- .wardian/metadata/oak-lib/left_out
oak.bark oak.root
"""


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    path = write_case(
        tmp_path / "oak.case",
        SOURCES,
        distributions=(
            PackedDistribution(name="oak-lib", version="1.2", roots=("oak",)),
            PackedDistribution(name="first-party", version=None, roots=("acorn",)),
        ),
        externs=(Extern(modules=("scipy",), distribution="scipy", version="1.0", names=(), soft=False),),
        mocks=("elm.bark",),
        absent=("tensorflow",),
        deferred=("oak",),
    )
    archive = ArchiveReader.open(path)
    return Contents(archive, read_manifest(archive), {"guest": object()})


def test_modules_are_known_by_their_own_names(contents: Contents) -> None:
    assert sorted(contents.modules) == ["acorn", "oak", "oak.leaf"]
    assert contents.modules["oak"].is_package
    assert contents.module_of_record("oak/leaf.py") == "oak.leaf"
    assert contents.module_of_record("oak/data/notes.txt") is None
    assert contents.children("oak") == [("leaf", False)]


@pytest.mark.parametrize(
    ("name", "has", "answers", "packs"),
    [
        ("oak.leaf", True, True, True),
        ("oak.data", True, True, True),  # a folder of data is a package without `__init__`
        ("oak.bark", False, True, True),
        ("elm", True, True, True),  # above a mock
        ("guest", False, True, False),
        ("importlib", False, True, False),  # packed code gets one of the mount's own
        ("scipy", False, False, False),
    ],
)
def test_having_answering_and_packing_are_three_questions(
    contents: Contents, name: str, has: bool, answers: bool, packs: bool
) -> None:
    assert contents.has_module(name) is has
    assert contents.answers_for(name) is answers
    assert contents.packs_top_level_of(name) is packs


def test_what_is_outside_is_told_with_its_reason(contents: Contents) -> None:
    assert contents.left_out == {"oak.bark": "oak-lib 1.2", "oak.root": "oak-lib 1.2"}
    assert contents.is_absent("tensorflow.keras")
    assert contents.is_extern("scipy.linalg")
    assert not contents.is_extern("scipyx")
    assert contents.first_party == {"acorn"}
    assert contents.packs_distribution("Oak_Lib")
    assert contents.hides_distribution("tensorflow")


def test_an_import_in_a_try_is_guarded(contents: Contents) -> None:
    assert not contents.is_unguarded("oak.leaf", 2)
    assert contents.is_unguarded("oak.leaf", 5)
    assert contents.is_unguarded("oak.bark", 1)  # there is no source to look at


def test_no_package_waits_for_who_watches(contents: Contents) -> None:
    assert contents.is_deferred("oak")
    contents.defer_nothing()
    assert not contents.is_deferred("oak")
