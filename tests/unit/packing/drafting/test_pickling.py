"""How parts of a draft are pickled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import importable, write_tree
from wardian.archive.writer import ArchiveWriter
from wardian.capture.session import Capture
from wardian.errors import UnpicklableError
from wardian.packing.drafting.origins import Origins
from wardian.packing.drafting.pickling import Pickling
from wardian.packing.drafting.reductions import Reductions
from wardian.tensors.scripts import ScriptingStorageWriter

PROJECT = """
--- elm/__init__.py
--- elm/model.py
class Elm:
    pass
def plant():
    pass
"""


@pytest.fixture
def pickling(tmp_path: Path) -> Iterator[Pickling]:
    origins = Origins()
    capture = Capture(origins)
    with ArchiveWriter(tmp_path / "elm.case") as archive:
        storages = ScriptingStorageWriter(archive)
        yield Pickling(capture, origins, Reductions(capture, storages), storages)


def test_the_classes_of_a_pickle_are_found_and_functions_are_not(pickling: Pickling, tmp_path: Path) -> None:
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        module = load("elm.model")
        pickled = pickling.pickle_with_effects([module.Elm(), module.plant], "trees")
        assert [*pickling.classes_of(pickled)] == [module.Elm]
        assert str(pickling.type_of(module.Elm())) == "elm.model.Elm"


def test_what_cannot_be_pickled_is_called_what_it_is(pickling: Pickling) -> None:
    with pytest.raises(UnpicklableError, match=r"inputs\[0\] is a memoryview"):
        pickling.pickle((memoryview(b""),), "inputs")
