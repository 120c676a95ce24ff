"""Finders of packed modules: what they answer for, and what they say of a case that is not open."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wardian
from tests.support import importable, write_case, write_tree
from wardian.errors import ModuleNotInCaseError
from wardian.loading.importing.finders import CaseFinder, FolderFinder
from wardian.loading.importing.loaders import AliasLoader
from wardian.loading.importing.mount import Mount
from wardian.loading.registering import installed_modules
from wardian.loading.registering.installed_modules import SecondCopyLoader, note_registering


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    path = write_case(
        tmp_path / "yew.case", "--- yew/__init__.py\n--- yew/bark.py\n--- yew/leaf/__init__.py\n"
    )
    with wardian.open(path) as case:
        yield case.mount


def finder_of(mount: Mount) -> CaseFinder:
    """A finder that knows one case, by the name of its file now and by an older one."""
    stem, _, digest = mount.name.rpartition(".")[2].rpartition("_")
    names = {f"{stem}_{digest}", f"old_{digest}"}
    return CaseFinder(lambda name: mount if name in names else None)


def test_a_module_is_found_below_its_mount(mount: Mount) -> None:
    finder = finder_of(mount)
    spec = finder.find_spec(f"{mount.name}.yew.bark", None)
    assert spec is not None
    assert spec.name == f"{mount.name}.yew.bark"
    assert finder.find_spec(f"{mount.name}.yew.root", None) is None
    whole = finder.find_spec(mount.name, None)
    assert whole is not None
    assert whole.submodule_search_locations is not None


@pytest.mark.parametrize(
    "name", ["json", "yew.bark", "wardian.live", "wardian.live.nothing", "wardian.live.x_12"]
)
def test_it_does_not_answer_for_other_names(mount: Mount, name: str) -> None:
    assert finder_of(mount).find_spec(name, None) is None


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("wardian.live.oak_0123abcd.net", "wardian.open('oak.case')"),
        ("wardian.live.oak_shared_0123abcd.net", "wardian.load('oak.case', share=True)"),
    ],
)
def test_of_a_case_that_is_not_open_it_says_how_to_open_it(mount: Mount, name: str, call: str) -> None:
    with pytest.raises(ModuleNotInCaseError, match=r"WARDIAN_CASES=/path/or/url/oak\.case") as caught:
        finder_of(mount).find_spec(name, None)
    assert call in str(caught.value)
    assert "case 'oak' whose digest begins with 0123abcd" in str(caught.value)
    assert caught.value.name == name


def test_under_an_older_name_of_the_file_there_are_the_same_modules(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = f"wardian.live.old_{mount.name.rpartition('_')[2]}"
    spec = finder_of(mount).find_spec(f"{old}.yew.bark", None)
    assert spec is not None
    assert isinstance(spec.loader, AliasLoader)
    monkeypatch.setitem(sys.modules, spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(sys.modules[spec.name])
    assert sys.modules[spec.name] is importlib.import_module(f"{mount.name}.yew.bark")
    assert mount.aliases == {old}


def test_an_installed_module_that_may_be_a_second_copy_is_found_as_without_it(
    mount: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed_modules, "_registering", set())
    folder = write_tree(tmp_path / "library", "--- orchardtwin.py\nx = 1\n")
    finder = finder_of(mount)
    with importable(folder):
        assert finder.find_spec("orchardtwin", None) is None
        note_registering("orchardtwin")
        monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])  # it does not ask itself
        spec = finder.find_spec("orchardtwin", None)
        assert spec is not None
        assert isinstance(spec.loader, SecondCopyLoader)
        assert spec.origin == str(folder / "orchardtwin.py")
        assert finder.find_spec("orchardtwin.below", None) is None


# Folders.


def test_a_folder_lists_its_modules(mount: Mount) -> None:
    folder = FolderFinder(mount, "yew", lambda name: mount)
    assert list(folder.iter_modules()) == [("bark", False), ("leaf", True)]
    assert list(folder.iter_modules("yew.")) == [("yew.bark", False), ("yew.leaf", True)]
    assert list(FolderFinder(mount, "yew.leaf", lambda name: mount).iter_modules()) == []


def test_a_folder_finds_only_full_names_of_open_cases(mount: Mount) -> None:
    folder = FolderFinder(mount, "yew", lambda name: mount if mount.name.endswith(name) else None)
    found = folder.find_spec(f"{mount.name}.yew.bark")
    assert isinstance(found, importlib.machinery.ModuleSpec)
    assert folder.find_spec("yew.bark") is None
    assert folder.find_spec("wardian.live.oak_0123abcd.yew.bark") is None
