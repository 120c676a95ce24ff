"""Files of a package as a tree: which are in it, and how it is printed."""

from __future__ import annotations

from wardian.package.file_structure_representation import Directory, make_directory
from wardian.package.glob_group import GlobPattern

FILES = ["mylib/nn/ops.py", "mylib/a.py", "readme", "mylib/nn/b.py", ".data/version"]


def tree(include: GlobPattern = "**", exclude: GlobPattern = ()) -> Directory:
    return make_directory("model.pt", FILES, include, exclude)


def test_files_and_folders_are_there_by_their_paths() -> None:
    found = tree()
    for path in (*FILES, "mylib", "mylib/nn", ".data"):
        assert found.has_file(path)
    for path in ("nn", "mylib/nn/c.py", "readme/x", "mylib/nn/ops.py/x"):
        assert not found.has_file(path)
    assert found.is_dir
    assert found.children["mylib"].children["nn"].is_dir
    assert not found.children["readme"].is_dir


def test_only_what_matches_is_there() -> None:
    found = tree(["mylib/**", "readme"], exclude="**/nn/*")
    assert found.has_file("mylib/a.py")
    assert found.has_file("readme")
    assert not found.has_file("mylib/nn")
    assert not found.has_file(".data")
    assert tree([]).children == {}


def test_folders_come_first_and_each_kind_by_name() -> None:
    assert str(tree(exclude=".data/*")) == (
        "─── model.pt\n"
        "    ├── mylib\n"
        "    │   ├── nn\n"
        "    │   │   ├── b.py\n"
        "    │   │   └── ops.py\n"
        "    │   └── a.py\n"
        "    └── readme\n"
    )
    assert str(Directory("model.pt", is_dir=True)) == "─── model.pt\n"
