"""Packed code gets its own version of the modules that take names as strings, and Python's of all others."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.domain.manifest import Extern
from wardian.domain.names import SHIMMED
from wardian.errors import MissingExternError, ModuleNotInCaseError
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.table import make_shim

SAGE = "--- sage/__init__.py\n--- sage/leaf.py\nCOLOUR = 'grey'\n--- soil.py\n"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    lacking = Extern(modules=("orchardlacking",), distribution=None, version=None, names=(), soft=True)
    with wardian.open(
        write_case(tmp_path / "sage.case", SAGE, absent=("orchardhidden",), externs=(lacking,))
    ) as case:
        yield case.mount


def shim(mount: Mount, name: str) -> Any:
    made = make_shim(mount, name)
    assert made is not None
    return made


def test_there_is_one_of_each_name_that_code_is_rewritten_for(mount: Mount) -> None:
    for name in SHIMMED - {"importlib_metadata", "importlib_resources"}:
        assert shim(mount, name) is not sys.modules[name]
    assert make_shim(mount, "json") is json
    assert make_shim(mount, "orchardnowhere") is None


def test_a_name_given_as_a_string_means_the_packed_module(mount: Mount) -> None:
    importlib_ = shim(mount, "importlib")
    leaf = mount.import_module("sage.leaf")
    assert importlib_.import_module("sage.leaf") is leaf
    assert importlib_.import_module(".leaf", "sage") is leaf
    assert importlib_.import_module(".leaf", f"{mount.name}.sage") is leaf
    assert importlib_.import_module("json") is json
    assert importlib_.import_module(".tool", "json").__name__ == "json.tool"
    assert importlib_.util.find_spec("sage.leaf").name == leaf.__name__
    assert importlib_.reload is importlib.reload


def test_what_is_not_there_is_not_imported(mount: Mount) -> None:
    importlib_ = shim(mount, "importlib")
    for name, error in (
        ("orchardhidden", ModuleNotInCaseError),
        ("orchardlacking.x", MissingExternError),
        ("sage.root", ModuleNotInCaseError),
        ("orchardnowhere", ModuleNotFoundError),
    ):
        with pytest.raises(error):
            importlib_.import_module(name)


def test_specs_are_found_by_own_names(mount: Mount) -> None:
    util = shim(mount, "importlib.util")
    assert util.find_spec("sage.leaf").name == f"{mount.name}.sage.leaf"
    assert util.find_spec("sage.root") is None
    assert util.find_spec("orchardhidden") is None
    assert util.find_spec("json").name == "json"
    assert util.module_from_spec is importlib.util.module_from_spec


def test_a_file_of_the_case_is_loaded_as_the_module_it_is(mount: Mount, tmp_path: Path) -> None:
    util = shim(mount, "importlib.util")
    file = mount.import_module("soil").__file__
    assert util.spec_from_file_location("soil", file).name == f"{mount.name}.soil"
    other = util.spec_from_file_location("other", file)  # under a name of its own, it is a file
    assert other.name == "other"
    assert util.spec_from_file_location("x", tmp_path / "x.py").origin == str(tmp_path / "x.py")


def test_pkgutil_is_that_of_the_mount(mount: Mount) -> None:
    assert shim(mount, "pkgutil").resolve_name("sage.leaf:COLOUR") == "grey"
    assert shim(mount, "pkgutil").iter_modules is pkgutil.iter_modules
