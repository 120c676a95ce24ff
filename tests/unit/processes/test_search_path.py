"""What lay on `sys.path`, and what has come or gone since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wardian.processes.search_path import SearchPath


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Return two folders, of which the first has a module, and one that is not there."""
    for name in ("barn", "loft"):
        (tmp_path / name).mkdir()
    (tmp_path / "barn" / "rake.py").write_text("")
    return [str(tmp_path / name) for name in ("barn", "loft", "cellar")]


def change(folder: str, work: Callable[[Path], object]) -> None:
    """Change a folder, and its time, however soon after it was looked at."""
    work(Path(folder))
    now = os.stat(folder)
    os.utime(folder, ns=(now.st_atime_ns, now.st_mtime_ns + 1))


def test_what_nobody_has_touched_is_the_same(folders: list[str]) -> None:
    seen = SearchPath(folders)
    assert seen.is_untouched(folders)
    assert not seen.is_untouched(folders[:2])
    assert seen.finds_the_same(folders, {"rake"}, {folders[0]})
    change(folders[1], lambda loft: (loft / "hay.txt").write_text(""))
    assert not seen.is_untouched(folders)
    assert seen.finds_the_same(folders, {"rake"}, {folders[0]})  # nobody imports a text


@pytest.mark.parametrize(
    ("file", "is_the_same"),
    [
        ("rake.py", False),
        ("rake", False),
        ("rake.cpython-311-x86_64-linux-gnu.so", False),
        ("rake.case", True),
        ("hoe.py", True),
        ("tines-1.0.dist-info", False),
    ],
)
def test_what_came_matters_if_it_was_asked_for_or_may_be_a_plug_in(
    folders: list[str], file: str, is_the_same: bool
) -> None:
    seen = SearchPath(folders)
    change(folders[1], lambda loft: (loft / file).write_text(""))
    assert seen.finds_the_same(folders, {"rake"}, {folders[0]}) is is_the_same


def test_where_something_was_found_nothing_may_have_changed_unless_names_tell(folders: list[str]) -> None:
    seen = SearchPath(folders)
    change(folders[0], lambda barn: (barn / "hoe.py").write_text(""))
    assert not seen.finds_the_same(folders, {"rake"}, {folders[0]})
    assert seen.finds_the_same(folders, {"rake"}, {folders[0]}, by_name=True)
    change(folders[0], lambda barn: (barn / "rake.py").unlink())
    assert not seen.finds_the_same(folders, {"rake"}, {folders[0]}, by_name=True)


def test_the_order_of_what_was_used_matters_and_new_entries_if_they_have_what_was_asked_for(
    folders: list[str], tmp_path: Path
) -> None:
    seen = SearchPath(folders)
    barn, loft, cellar = folders
    assert not seen.finds_the_same([loft, barn], {"rake"}, {barn, loft})
    assert seen.finds_the_same([loft, cellar, barn], {"rake"}, {barn})
    new = tmp_path / "shed"
    new.mkdir()
    assert seen.finds_the_same([str(new), *folders], {"rake"}, {barn})
    (new / "rake.py").write_text("")
    assert not seen.finds_the_same([str(new), *folders], {"rake"}, {barn})


def test_an_archive_that_has_changed_may_have_anything(folders: list[str], tmp_path: Path) -> None:
    archive = tmp_path / "tools.zip"
    archive.write_bytes(b"")
    path = [*folders, str(archive)]
    seen = SearchPath(path)
    assert seen.finds_the_same(path, {"rake"}, {folders[0]})
    os.utime(archive, ns=(0, 0))
    assert not seen.finds_the_same(path, {"rake"}, {folders[0]})
