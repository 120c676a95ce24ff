"""Archives that were extracted to a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.archives import name
from tests.support import write_tree
from wardian.archive import FolderReader
from wardian.errors import NotACaseError

TREE = """
--- .data/extern_modules
torch
--- oak.py
class Oak: ...
--- forest/data.txt
trees
"""
MANIFEST = """
--- .wardian/manifest.json
{}
--- .wardian/bytecode/cpython-311/oak.pyc
stale
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "oak", TREE)


def test_records_are_the_files_sorted(folder: Path) -> None:
    with FolderReader(folder) as reader:
        assert reader.kind == "torch.package"
        assert reader.manifest == b""
        assert reader.names == (".data/extern_modules", "forest/data.txt", "oak.py")
        assert "oak.py" in reader
        assert "forest" not in reader


def test_with_a_manifest_it_is_a_case_and_its_bytecode_is_left_out(folder: Path) -> None:
    reader = FolderReader(write_tree(folder, MANIFEST))
    assert (reader.kind, reader.manifest) == ("case", b"{}\n")
    assert [each for each in reader.names if "bytecode" in each] == []


def test_what_is_edited_is_read(folder: Path) -> None:
    reader, oak = FolderReader(folder), name("oak.py")
    (folder / "oak.py").write_bytes(b"class Oak:\n    age = 3\n")
    assert reader.read(oak) == b"class Oak:\n    age = 3\n"
    assert reader.begins(oak, 9) == b"class Oak"
    assert reader.begins(oak, 99) == reader.read(oak)
    assert reader.location(oak) == (0, reader.size(oak)) == (0, 23)


def test_what_was_no_file_at_first_is_no_record(folder: Path) -> None:
    reader = FolderReader(folder)
    (folder / "elm.py").write_bytes(b"")
    for use in (reader.read, reader.size, reader.location, lambda record: reader.begins(record, 1)):
        with pytest.raises(KeyError, match="elm"):
            use(name("elm.py"))


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        FolderReader(tmp_path / "file")
    with pytest.raises(
        NotACaseError, match=r"not an extracted archive: it has no \.data/extern_modules"
    ) as caught:
        FolderReader(tmp_path)
    assert caught.value.path == str(tmp_path)


@pytest.mark.parametrize("file", ["back\\slash.py", "line\nfeed.py", os.fsdecode(b"latin-\xe9.py"), "C:"])
def test_a_file_that_no_record_can_be_is_named(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"")
    with pytest.raises(NotACaseError, match=r"not an extracted archive: record name") as caught:
        FolderReader(folder)
    str(caught.value).encode()


def test_two_folders_are_told_apart_in_any_spelling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write_tree(folder.parent / "elm", TREE)
    monkeypatch.chdir(folder.parent)
    assert FolderReader("oak").fingerprint == FolderReader(folder).fingerprint
    assert FolderReader(other).fingerprint != FolderReader(folder).fingerprint
    assert FolderReader("oak").path == folder
