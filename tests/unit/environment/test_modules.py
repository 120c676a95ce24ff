"""What is installed, and which module is whose. The installed distributions are written here."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.sites import SITE
from tests.support import importable, write_tree
from wardian.domain.modules import ModuleKind, is_stdlib
from wardian.domain.names import ModuleName
from wardian.environment.distributions import Distributions
from wardian.environment.modules import (
    find_module,
    is_importable,
    is_instance,
    is_module,
    known_attribute,
    variables_of,
)

PROJECT = """
--- garden/__init__.py
--- garden/beds/rose.py
--- old.pyc
--- plain.py
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "site", SITE)


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


def _fail(obj: object) -> type:
    raise ZeroDivisionError


class _Raising:
    __class__ = property(_fail)
    __file__ = property(_fail)


def test_no_class_is_asked_whether_it_is_that_of_a_module() -> None:
    assert is_module(sys)
    assert is_module(_Waiting("oak"))
    assert not any(map(is_module, (_Bare(), _Raising(), None)))


def test_a_class_that_cannot_be_told_is_none_of_these() -> None:
    assert not is_instance(_Raising(), type | types.ModuleType)
    assert is_instance(_Bare(), types.ModuleType)  # it says so
    assert is_instance(len, types.BuiltinFunctionType)
    assert known_attribute(_Raising(), "__file__") is None
