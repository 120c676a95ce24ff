"""What is installed, and which module is whose. The installed distributions are written here."""

from __future__ import annotations

import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.domain.modules import ModuleKind, is_stdlib
from wardian.domain.names import ModuleName
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module, is_importable, variables_of

SITE = """
--- seedbank/__init__.py
raise AssertionError("looking a module up must not import it")
--- seedbank/vault.py
--- seedbank/labels.txt
--- seed_tool.py
--- shared/north.py
--- SeedBank-1.4.dist-info/METADATA
Metadata-Version: 2.1
Name: Seed.Bank
Version: 1.4
Requires-Dist: seed-tools>=1
Requires-Dist: never-installed; extra == "all"
--- SeedBank-1.4.dist-info/RECORD
seedbank/__init__.py,sha256=x,60
seedbank/vault.py,,
seedbank/labels.txt,,
seedbank/__pycache__/vault.cpython-311.pyc,,
../../bin/seed,,
shared/north.py,,
SeedBank-1.4.dist-info/METADATA,,
--- seed_tools-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: seed-tools
Version: 2.0
Requires-Dist: seed-trays
Requires-Dist: seed-lamps; os_name != "greenhouse"
--- seed_lamps/__init__.py
--- seed_lamps-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: seed-lamps
Version: 1.0
--- seed_tools-2.0.dist-info/RECORD
seed_tool.py,,
shared/south.py,,
--- shared/south.py
--- leftover-0.1.dist-info/RECORD
"""

PROJECT = """
--- garden/__init__.py
--- garden/beds/rose.py
--- old.pyc
--- plain.py
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "site", SITE)


def test_a_distribution_knows_its_files_roots_and_requirements(site: Path) -> None:
    with importable(site):
        found = Distributions.current()["seed_bank"]
        assert (found.name, found.version, found.editable) == ("seed-bank", "1.4", False)
        assert found.roots == {"seedbank", "shared"}
        assert [str(path) for path in found.files if ".dist-info" not in str(path)] == [
            "seedbank/__init__.py",
            "seedbank/labels.txt",
            "seedbank/vault.py",
            "shared/north.py",
        ]
        assert found.requires == {"seed-tools"}
        assert Distributions.current()["seed-tools"].requires == {"seed-trays", "seed-lamps"}
        assert Distributions.current()["seed-tools"].requires_everywhere == {"seed-trays"}
        installed = {"seed-bank", "seed-tools", "seed-lamps"}
        assert Distributions.current().closure("Seed.Bank") == installed
        assert Distributions.current().closure("Seed.Bank", everywhere=True) == {"seed-bank", "seed-tools"}
        assert Distributions.current().get("leftover") is None
    assert Distributions.current().get("seed-bank") is None


def test_a_distribution_without_a_list_of_its_files_has_those_of_the_package_of_its_name(site: Path) -> None:
    with importable(site):
        found = Distributions.current()["seed-lamps"]
        assert found.roots == {"seed_lamps"}
        assert found.files == ("seed_lamps/__init__.py",)


def _link_folders(real: Path, linked: Path) -> None:
    for entry in real.iterdir():
        (linked / entry.name).symlink_to(entry)


def _link_files(real: Path, linked: Path) -> None:
    for file in (path for path in real.rglob("*") if path.is_file()):
        place = linked / file.relative_to(real)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)


def _link_packages(real: Path, linked: Path) -> None:
    for entry in real.iterdir():
        if entry.suffix == ".dist-info":
            shutil.copytree(entry, linked / entry.name)
        else:
            (linked / entry.name).symlink_to(entry)


@pytest.mark.parametrize("link", [_link_folders, _link_files, _link_packages])
def test_what_is_linked_into_an_environment_is_installed_there(
    link: Callable[[Path, Path], None], site: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    link(site, linked)
    with importable(linked):
        distributions = Distributions.current()
        assert find_module(ModuleName("seedbank.vault"), distributions).distribution == "seed-bank"
        assert find_module(ModuleName("seed_tool"), distributions).distribution == "seed-tools"
        assert find_module(ModuleName("shared.south"), distributions).distribution == "seed-tools"
        assert distributions.owner_of_file(str(linked / "seedbank/labels.txt")) == "seed-bank"
        if link is not _link_packages:  # by the name that the system has for a library that is mapped
            assert distributions.owner_of_file(str(site / "seedbank/labels.txt")) == "seed-bank"


VENDORED = """
--- greenhouse/__init__.py
--- greenhouse/thirdparty/pump/__init__.py
--- greenhouse/thirdparty/pump/_valve.abi3.so
--- greenhouse/thirdparty/hose.py
--- greenhouse-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: greenhouse
Version: 2.0
--- greenhouse-2.0.dist-info/RECORD
greenhouse/__init__.py,,
greenhouse/thirdparty/pump/__init__.py,,
greenhouse/thirdparty/pump/_valve.abi3.so,,
greenhouse/thirdparty/hose.py,,
"""
PUMP = """
--- pump/__init__.py
--- pump-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: pump
Version: 1.0
--- pump-1.0.dist-info/RECORD
pump/__init__.py,,
"""


@pytest.mark.parametrize("is_installed", [False, True])
def test_what_a_distribution_has_put_on_the_path_belongs_to_a_distribution(
    tmp_path: Path, is_installed: bool
) -> None:
    site = write_tree(tmp_path / "site", VENDORED + (PUMP if is_installed else ""))
    (site / "greenhouse/thirdparty/own.py").touch()
    owner = "pump" if is_installed else "greenhouse"
    with importable(site / "greenhouse/thirdparty", site):
        distributions = Distributions.current()
        for name in ("pump", "pump._valve"):
            facts = find_module(ModuleName(name), distributions)
            assert facts.distribution == owner, name
            assert "thirdparty" in (facts.file or "")
        assert find_module(ModuleName("hose"), distributions).distribution == "greenhouse"
        assert find_module(ModuleName("own"), distributions).distribution is None


def test_of_a_distribution_that_is_there_twice_both_files_are_its_own(tmp_path: Path) -> None:
    # A clean process, which has not imported the one that brings the other copy, finds the installed one.
    site = write_tree(
        tmp_path / "site",
        f"""{VENDORED}{PUMP}
--- pump/_valve.abi3.so
--- greenhouse/thirdparty/pump-1.1.dist-info/METADATA
Metadata-Version: 2.1
Name: pump
Version: 1.1
--- greenhouse/thirdparty/pump-1.1.dist-info/RECORD
pump/__init__.py,,
pump/_valve.abi3.so,,
""",
    )
    with importable(site / "greenhouse/thirdparty", site):
        distributions = Distributions.current()
        assert distributions["pump"].version == "1.1"
        for folder in (site, site / "greenhouse/thirdparty"):
            file = str(folder / "pump/__init__.py")
            assert distributions.owner(ModuleName("pump"), file) == "pump"
            assert distributions.owner_of_file(file) == "pump"
            valve = str(folder / "pump/_valve.abi3.so")
            assert distributions.owner(ModuleName("pump._valve"), valve) == "pump"
        assert [d.name for d in distributions.providing("pump")] == ["pump"]


def test_what_setuptools_leaves_beside_sources_makes_no_distribution_of_them(tmp_path: Path) -> None:
    tree = """
    --- src/garden/__init__.py
    --- src/garden.egg-info/PKG-INFO
    Metadata-Version: 2.1
    Name: garden
    Version: 3.1
    --- src/garden.egg-info/SOURCES.txt
    --- src/garden.egg-info/top_level.txt
    garden
    """
    with importable(write_tree(tmp_path, tree) / "src"):
        assert find_module(ModuleName("garden"), Distributions.current()).distribution is None
        found = Distributions.current()["garden"]
        assert (found.version, found.editable) == ("3.1", True)
        assert b"Version: 3.1" in found.metadata_files()["METADATA"]


def test_modules_are_found_with_their_owner_and_not_imported(site: Path, tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", PROJECT)
    with importable(site, project):
        installed = Distributions.current()

        def look(name: str) -> tuple[str, str | None, bool]:
            found = find_module(ModuleName(name), installed)
            return str(found.kind), found.distribution, found.is_package

        assert look("seedbank.vault") == ("source", "seed-bank", False)
        assert look("seedbank") == ("source", "seed-bank", True)
        assert look("seed_tool") == ("source", "seed-tools", False)
        assert look("shared.north")[1] == "seed-bank"
        assert look("shared.south")[1] == "seed-tools"
        assert look("garden") == ("source", None, True)
        assert look("garden.beds") == ("namespace", None, True)
        assert look("garden.beds.rose") == ("source", None, False)
        assert look("plain") == ("source", None, False)
        assert look("old")[0] == "bytecode"
        assert look("garden.missing")[0] == look("nothing.at.all")[0] == "missing"
        assert look("json.decoder")[0] == look("_socket")[0] == "stdlib"
        assert "seedbank" not in sys.modules
        assert installed.owner_of_file(str(site / "seedbank" / "labels.txt")) == "seed-bank"
        assert installed.owner_of_file(str(project / "plain.py")) is None
        assert is_importable(ModuleName("garden.beds.rose"))
        assert not is_importable(ModuleName("garden.missing"))


def test_what_stands_behind_a_name_is_told_for_compiled_modules() -> None:
    found = find_module(ModuleName("torch._C"), Distributions.current())
    assert (found.kind, found.distribution) == (ModuleKind.EXTENSION, "torch")


@pytest.mark.parametrize(
    ("name", "expected"), [("os.path", True), ("_ssl", True), ("__main__", True), ("numpy", False)]
)
def test_the_standard_library_is_known(name: str, expected: bool) -> None:
    assert is_stdlib(ModuleName(name)) is expected


class _Bare:
    """As cffi's `lib` objects: it says that it is a module, and has no variables."""

    __slots__ = ()
    __class__ = property(lambda self: types.ModuleType)


class _Computed(_Bare):
    __slots__ = ()

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise AssertionError("the variables of a proxy were asked for")


class _Waiting(types.ModuleType):
    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a package that waits was asked for")


def test_variables_are_told_without_running_anything() -> None:
    assert variables_of(_Waiting("oak"))["__name__"] == "oak"
    assert variables_of(sys) is vars(sys)
    for nothing in (_Bare(), _Computed(), object(), None):
        assert variables_of(nothing) == {}


def test_what_is_installed_is_read_again_when_it_changes_and_not_for_other_files(tmp_path: Path) -> None:
    with importable(tmp_path):
        before = Distributions.current()
        (tmp_path / "results.txt").write_text("new")
        assert Distributions.current() is before
        write_tree(tmp_path, "--- seedling-1.0.dist-info/METADATA\nName: seedling\nVersion: 1.0\n")
        assert Distributions.current()["seedling"].version == "1.0"
        shutil.rmtree(tmp_path / "seedling-1.0.dist-info")
        assert Distributions.current().get("seedling") is None
