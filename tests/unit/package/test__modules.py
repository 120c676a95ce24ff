"""Modules are found in whichever importer has them, with their source, and as far as possible unimported."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.packages import imported, in_turn
from tests.support import importable, write_tree
from wardian.domain.modules import ModuleKind
from wardian.domain.names import ModuleName
from wardian.package import PackageImporter
from wardian.package._modules import exists, find, find_in, find_in_stdlib, stand_in_source
from wardian.package.importer import Importer, OrderedImporter, sys_importer

LIBRARY = """
--- orchardfound/__init__.py
number = 3
--- orchardfound/oak.py
RINGS = 3
--- orchardfound/folder/leaf.py
--- orchardfound/number.py
--- orchardmocked.py
"""


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Any]:
    with importable(write_tree(tmp_path, LIBRARY)) as import_module:
        yield import_module


class Memory(Importer):
    """Has one module that nobody else has."""

    def __init__(self, name: str, source: str) -> None:
        module = types.ModuleType(name)
        exec(source, module.__dict__)
        self.modules = {name: module}

    def import_module(self, module_name: str) -> ModuleType:
        return self.modules[module_name]


def packed() -> PackageImporter:
    return imported(
        in_turn(
            lambda e: e.mock("orchardmocked"),
            lambda e: e.save_source_string("orchardfound.ash", "import orchardmocked"),
            lambda e: e.save_source_string("orchardpacked", "x = 1", is_package=True),
        )
    )


def name(text: str) -> ModuleName:
    return ModuleName(text)


@pytest.mark.parametrize(
    ("module", "kind", "source"),
    [
        ("orchardfound", ModuleKind.SOURCE, b"number = 3\n"),
        ("orchardfound.oak", ModuleKind.SOURCE, b"RINGS = 3\n"),
        ("orchardfound.folder", ModuleKind.NAMESPACE, None),
    ],
)
def test_the_interpreter_finds_sources_and_imports_none(
    library: Any, module: str, kind: ModuleKind, source: bytes | None
) -> None:
    found = find(sys_importer, name(module))
    assert found is not None
    assert (found.facts.kind, found.read(), found.mount) == (kind, source, None)
    assert not [loaded for loaded in sys.modules if loaded.startswith("orchardfound")]


def test_what_nobody_has_is_not_found(library: Any) -> None:
    assert find(sys_importer, name("orchardfound.elm")) is None
    assert find(OrderedImporter(packed(), sys_importer), name("orchardnowhere")) is None
    assert find(sys_importer, name("__main__")) is not None  # as it is in memory
    assert find_in(Memory("trees", ""), name("bushes")) is None


def test_a_module_that_is_only_in_memory_is_found_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orchardmade", types.ModuleType("orchardmade"))
    found = find(sys_importer, name("orchardmade"))
    assert found is not None
    assert (found.facts.kind, found.facts.file, found.read()) == (ModuleKind.MISSING, None, None)


def test_of_an_importer_of_another_kind_it_is_known_that_only_it_has_a_module() -> None:
    found = find_in(Memory("orchardmemory", ""), name("orchardmemory"))
    assert found is not None
    assert found.only_there
    with_file = Memory("orchardmemory", "__file__ = '/nowhere/x.cpython-311-x86_64-linux-gnu.so'")
    compiled = find_in(with_file, name("orchardmemory"))
    assert compiled is not None
    assert compiled.facts.kind is ModuleKind.EXTENSION


def test_a_source_that_its_loader_knows_is_taken_from_it() -> None:
    class Loader:
        def get_source(self, fullname: str) -> str:
            return f"# {fullname}\n"

    memory = Memory("orchardmemory", "__file__ = '/nowhere/x.py'")
    memory.modules["orchardmemory"].__loader__ = Loader()  # type: ignore[assignment]
    found = find_in(memory, name("orchardmemory"))
    assert found is not None
    assert found.read() == b"# orchardmemory\n"
    assert found.facts.file == "/nowhere/x.py"


def test_the_loader_of_an_installed_module_may_know_its_source_better(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loader(importlib.machinery.SourceFileLoader):
        def get_source(self, fullname: str) -> str:
            return "RINGS = 4\n"

    oak = library("orchardfound.oak")
    found = find(sys_importer, name("orchardfound.oak"))
    assert found is not None
    assert found.read() == b"RINGS = 3\n"
    monkeypatch.setattr(oak.__spec__, "loader", Loader("orchardfound.oak", oak.__file__))
    assert found.read() == b"RINGS = 4\n"


def test_a_package_has_sources_folders_mocks_and_what_it_may_take_from_outside(library: Any) -> None:
    importer = packed()
    kinds = {}
    for module in ("orchardfound.ash", "orchardfound", "orchardpacked", "orchardmocked", "csv", "torch"):
        found = find_in(importer, name(module))
        if found is not None:
            kinds[module] = (
                found.facts.kind,
                found.read(),
                found.facts.is_package,
                found.mount is importer.mount,
            )
    assert kinds.pop("torch")[0] is ModuleKind.SOURCE
    assert kinds.pop("csv")[0] is ModuleKind.STDLIB
    assert kinds == {
        "orchardfound.ash": (ModuleKind.SOURCE, b"import orchardmocked", False, True),
        "orchardfound": (ModuleKind.NAMESPACE, None, True, True),
        "orchardpacked": (ModuleKind.SOURCE, b"x = 1", True, True),
        "orchardmocked": (ModuleKind.SOURCE, stand_in_source(), False, True),
    }
    assert find_in(importer, name("orchardfound.elm")) is None


def test_a_folder_of_one_importer_gives_way_to_the_package_of_a_later_one(library: Any) -> None:
    importer = packed()
    found = find(OrderedImporter(importer, sys_importer), name("orchardfound"))
    assert found is not None
    assert (found.mount, found.read()) == (None, b"number = 3\n")
    alone = find(OrderedImporter(importer, Memory("x", "")), name("orchardfound"))
    assert alone is not None
    assert alone.mount is importer.mount


@pytest.mark.parametrize(
    ("module", "there"),
    [
        ("orchardfound.oak", True),
        ("orchardfound.elm", False),
        ("json.decoder", True),
        ("json.dumps", False),
        ("xml.sax.handler", True),
        ("xml.nothing", False),
        ("os.path", True),
    ],
)
def test_modules_are_told_from_attributes(library: Any, module: str, there: bool) -> None:
    assert exists(sys_importer, name(module)) is there


def test_an_attribute_of_a_loaded_package_hides_a_module_of_its_name(library: Any) -> None:
    assert exists(sys_importer, name("orchardfound.number"))
    library("orchardfound")
    assert not exists(sys_importer, name("orchardfound.number"))
    assert exists(sys_importer, name("orchardfound.oak"))


def test_the_standard_library_has_its_source() -> None:
    found = find_in_stdlib(name("csv"))
    source = found.read()
    assert source is not None
    assert b"class DictReader" in source
    assert find_in_stdlib(name("sys")).read() is None
