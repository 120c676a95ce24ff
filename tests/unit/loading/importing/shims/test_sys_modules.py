"""`sys.modules` as packed code sees it is a view of the real one, with packed modules by their own names."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.sys_modules import Sys


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with wardian.open(write_case(tmp_path / "sage.case", "--- sage/__init__.py\n--- sage/leaf.py\n")) as case:
        yield case.mount


def test_a_packed_module_is_found_by_its_own_name(mount: Mount) -> None:
    modules = Sys(mount).modules
    assert "sage.leaf" not in modules
    assert modules.get("sage.leaf") is None
    leaf = mount.import_module("sage.leaf")
    assert "sage.leaf" in modules
    assert modules["sage.leaf"] is modules.get("sage.leaf") is leaf
    assert modules["json" if "json" in sys.modules else "sys"] is not None
    assert 3 not in modules
    with pytest.raises(KeyError):
        modules["sage.root"]


def test_what_is_written_is_below_the_mount(mount: Mount) -> None:
    modules = Sys(mount).modules
    made = types.ModuleType("made")
    modules["sage.made"] = made
    assert sys.modules[f"{mount.name}.sage.made"] is made
    assert "sage.made" not in sys.modules
    assert modules.setdefault("sage.made", types.ModuleType("other")) is made
    assert modules.pop("sage.made") is made
    assert modules.pop("sage.made", None) is None
    modules.update({"sage.made": made, "orchard_sys_test": made})
    assert sys.modules[f"{mount.name}.sage.made"] is sys.modules["orchard_sys_test"] is made
    del modules["sage.made"], modules["orchard_sys_test"]
    assert "orchard_sys_test" not in sys.modules
    with pytest.raises(KeyError):
        del modules["sage.made"]


def test_all_of_it_is_that_of_the_process(mount: Mount) -> None:
    modules = Sys(mount).modules
    assert isinstance(modules, dict)
    assert len(modules) == len(sys.modules)
    assert list(modules) == list(sys.modules) == list(modules.keys())
    assert modules.copy() == sys.modules
    assert list(modules.copy().values()) == list(modules.values())
    assert dict(modules.items()) == sys.modules


def test_all_else_of_sys_is_read_from_and_written_to_it(mount: Mount) -> None:
    seen: Any = Sys(mount)
    assert seen.path is sys.path
    seen.orchard_was_here = 1
    assert sys.orchard_was_here == 1  # type: ignore[attr-defined]
    assert "orchard_was_here" in dir(seen)
    del seen.orchard_was_here
    assert not hasattr(sys, "orchard_was_here")
    before = sys.__spec__
    seen.__spec__ = None  # the import system means the module itself
    assert sys.__spec__ is before
    assert seen.__spec__ is None
