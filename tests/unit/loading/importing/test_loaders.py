"""Modules of an open case: how they are found, what they are called, and that they go when it closes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import sys
from pathlib import Path

import pytest

import wardian
from tests.support import write_case

FERN = """
--- fern/__init__.py
SPECIES = "lady"
--- fern/fronds/__init__.py
from fern import SPECIES
--- fern/fronds/tip.py
import fern
from fern.fronds import SPECIES as same
NAMES = [fern.SPECIES, same, __name__, __package__]
--- fern/soil/peat.py
DEPTH = 3
--- fern/notes.txt
shade
"""


@pytest.fixture
def fern(tmp_path: Path) -> Path:
    return write_case(tmp_path / "fern.case", FERN)


def test_a_module_has_an_ordinary_name_below_the_root(fern: Path) -> None:
    with wardian.open(fern) as case:
        tip = case.import_module("fern.fronds.tip")
        root = case.mount.name
        assert root == f"wardian.live.fern_{case.digest[:8]}"
        assert tip.__name__ == f"{root}.fern.fronds.tip"
        assert tip is sys.modules[tip.__name__] is importlib.import_module(tip.__name__)
        assert [name.removeprefix(f"{root}.") for name in tip.NAMES] == [
            "lady",
            "lady",
            "fern.fronds.tip",
            "fern.fronds",
        ]


def test_a_module_has_a_file_a_spec_and_a_source(fern: Path) -> None:
    with wardian.open(fern) as case:
        assert not case.mount.has_run
        tip = case.import_module("fern.fronds.tip")
        assert case.mount.has_run
        assert tip.__spec__ is not None
        assert tip.__spec__.origin == tip.__file__
        assert str(tip.__file__).endswith(f"{case.digest}/fern/fronds/tip.py")
        assert inspect.getsource(tip).startswith("import fern\n")
        assert importlib.util.find_spec(tip.__name__) is tip.__spec__
        package = case.import_module("fern")
        assert [Path(entry).name for entry in package.__path__] == ["fern"]


def test_a_folder_without_init_is_a_namespace_package(fern: Path) -> None:
    with wardian.open(fern) as case:
        assert case.import_module("fern.soil.peat").DEPTH == 3
        soil = case.import_module("fern.soil")
        assert getattr(soil, "__file__", None) is None
        assert list(soil.__path__)


@pytest.mark.parametrize("missing", ["moss", "fern.moss", "fern.fronds.tip.moss"])
def test_what_is_not_packed_is_not_found(missing: str, fern: Path) -> None:
    with wardian.open(fern) as case, pytest.raises(ModuleNotFoundError, match=missing.rpartition(".")[2]):
        case.import_module(missing)


@pytest.mark.parametrize("name", ["", ".fern", "fern..fronds", "fern/fronds", "fern tip"])
def test_import_module_refuses_what_is_no_name(name: str, fern: Path) -> None:
    with wardian.open(fern) as case, pytest.raises(ValueError, match="not a module name"):
        case.import_module(name)


def test_a_module_that_classes_say_they_are_of_is_the_packed_one(tmp_path: Path) -> None:
    tree = """
    --- fern/__init__.py
    from fern._fronds import Frond, unroll
    Frond.__module__ = unroll.__module__ = "fern"
    --- fern/_fronds.py
    class Frond: pass
    def unroll(): pass
    """
    with wardian.open(write_case(tmp_path / "fern.case", tree)) as case:
        fern = case.import_module("fern")
        assert fern.Frond.__module__ == fern.unroll.__module__ == fern.__name__
        assert pickle.loads(pickle.dumps([fern.Frond, fern.unroll])) == [fern.Frond, fern.unroll]


def test_closing_removes_every_module(fern: Path) -> None:
    case = wardian.open(fern)
    tip, root = case.import_module("fern.fronds.tip"), case.mount.name
    case.close()
    case.close()
    assert not [name for name in sys.modules if name.startswith(root)]
    assert not hasattr(importlib.import_module("wardian.live"), root.rpartition(".")[2])
    assert tip.NAMES[0] == "lady", "what was loaded stays usable"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{root}.fern")


def test_two_open_cases_of_one_file_share_their_modules(fern: Path) -> None:
    with wardian.open(fern) as one, wardian.open(fern) as other:
        package = one.import_module("fern")
        assert other.import_module("fern") is package
        other.close()
        assert one.import_module("fern") is package
        assert one.read("fern/notes.txt") == b"shade\n"


def test_cases_with_the_same_library_in_two_versions_live_side_by_side(tmp_path: Path) -> None:
    old = write_case(
        tmp_path / "old.case", "--- fern/__init__.py\nfrom fern.version import N\n--- fern/version.py\nN = 1"
    )
    new = write_case(
        tmp_path / "new.case", "--- fern/__init__.py\nfrom fern.version import N\n--- fern/version.py\nN = 2"
    )
    with wardian.open(old) as one, wardian.open(new) as two:
        assert (one.import_module("fern").N, two.import_module("fern").N) == (1, 2)


def test_a_file_is_the_same_case_under_every_name_but_not_the_same_root(fern: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed copy.case"
    copy.write_bytes(fern.read_bytes())
    with wardian.open(fern) as one, wardian.open(copy) as two, wardian.open(fern.read_bytes()) as three:
        assert one.digest == two.digest == three.digest
        assert two.mount.name == f"wardian.live.renamed_copy_{one.digest[:8]}"
        assert three.mount.name == f"wardian.live.memory_{one.digest[:8]}"
        assert three.import_module("fern").SPECIES == "lady"


def test_importing_another_module_below_live_still_works() -> None:
    assert (
        importlib.import_module("wardian.loading.installed_library").__name__
        == "wardian.loading.installed_library"
    )
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("wardian.live.never_opened_00000000")


def test_a_module_that_raises_is_not_left_half_initialised(tmp_path: Path) -> None:
    sources = "--- fern/__init__.py\n--- fern/broken.py\nraise LookupError('no spores')"
    with wardian.open(write_case(tmp_path / "fern.case", sources)) as case:
        for _ in range(2):
            with pytest.raises(LookupError, match="no spores"):
                case.import_module("fern.broken")
        assert f"{case.mount.name}.fern.broken" not in sys.modules


def test_a_module_may_put_another_object_in_its_place(tmp_path: Path) -> None:
    sources = """
    --- fern/__init__.py
    import sys, types
    class Lazy(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            return name.upper()
    lazy = Lazy(__name__)
    lazy.__path__, lazy.__spec__ = __path__, __spec__
    sys.modules[__name__] = lazy
    --- fern/user.py
    from fern import anything
    import fern
    FOUND = [anything, fern.more]
    """
    with wardian.open(write_case(tmp_path / "fern.case", sources)) as case:
        assert case.import_module("fern.user").FOUND == ["ANYTHING", "MORE"]
        assert type(case.import_module("fern")).__name__ == "Lazy"
