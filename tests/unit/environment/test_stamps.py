"""A file that was changed, replaced or removed is told from one that was not."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import wardian.environment.stamps
from wardian.environment.stamps import any_changed, imported_places, stamps_of


def _rewrite(file: Path) -> None:
    """Write as much into it, and give it the time that it had."""
    before = file.stat()
    file.write_text("larch")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(file: Path) -> None:
    """Put a file of the same size and time in its place."""
    before, other = file.stat(), file.with_name("other")
    other.write_text("beech")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, file)


@pytest.mark.parametrize(
    "change",
    [lambda f: f.write_text("larch "), lambda f: os.utime(f, ns=(0, 0)), Path.unlink, _rewrite, _replace],
)
def test_a_file_that_changes_is_noticed(change: Callable[[Path], object], tmp_path: Path) -> None:
    file, other = tmp_path / "tree", tmp_path / "none"
    file.write_text("beech")
    stamps = stamps_of(map(str, (file, other)))
    assert not any_changed(stamps)
    change(file)
    assert any_changed(stamps)


def test_a_file_that_comes_is_noticed(tmp_path: Path) -> None:
    stamps = stamps_of([str(tmp_path / "tree")])
    assert not any_changed(stamps)
    (tmp_path / "tree").touch()
    assert any_changed(stamps)


@pytest.mark.parametrize(
    ("name", "is_module"),
    [
        ("oak.py", True),
        ("oak", True),
        ("oak.cpython-311-x86_64-linux-gnu.so", os.name == "posix"),
        ("oak.case", False),
        ("__pycache__", False),
    ],
)
def test_a_folder_of_a_package_changes_with_the_modules_in_it(
    name: str, is_module: bool, tmp_path: Path
) -> None:
    stamps = stamps_of([os.path.join(tmp_path, "")])
    (tmp_path / name).mkdir()
    assert any_changed(stamps) is is_module


def test_imported_packages_stand_with_their_folders() -> None:
    folder = os.path.dirname(wardian.environment.stamps.__file__)
    assert os.path.join(folder, "") in imported_places()


def test_imported_places_are_those_of_modules_and_no_module_runs_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Deferred(types.ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"it runs for {name}")

    monkeypatch.setitem(sys.modules, "oak", Deferred("oak"))
    assert wardian.environment.stamps.__file__ in imported_places()
