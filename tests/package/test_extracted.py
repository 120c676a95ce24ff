"""Archives that were extracted: the folder is the one that torch.package makes of what has no name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch.package import PackageImporter  # type: ignore[attr-defined]

import wardian
import wardian.package


def _export(target: Path | io.BytesIO) -> None:
    with wardian.package.PackageExporter(target) as exporter:
        exporter.save_source_string("grove", "import torch\nAGE = 7\n", is_package=True)
        exporter.save_text("grove.notes", "oak.txt", "old")
        exporter.save_pickle("grove", "weights.pkl", torch.arange(3.0))


@pytest.mark.parametrize("name", ["oak.v2.pt", "tmp1234", ".hidden", "a:b"])
def test_the_folder_does_not_depend_on_the_name_of_the_file(name: str, tmp_path: Path) -> None:
    folder = "archive"
    _export(tmp_path / name)
    with zipfile.ZipFile(tmp_path / name) as archive:
        archive.extractall(tmp_path / "out")
    importer = wardian.package.PackageImporter(tmp_path / "out" / folder)
    assert importer.import_module("grove").AGE == 7
    assert importer.load_text("grove.notes", "oak.txt") == "old"
    assert importer.load_pickle("grove", "weights.pkl").tolist() == [0, 1, 2]
    reader = importer.get_resource_reader("grove.notes")
    assert reader is not None
    assert reader.resource_path("oak.txt") == str(tmp_path / "out" / folder / "grove" / "notes" / "oak.txt")


def test_what_has_no_name_is_called_archive() -> None:
    buffer = io.BytesIO()
    _export(buffer)
    with zipfile.ZipFile(buffer) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"archive"}


@pytest.mark.parametrize("name", ["oak.pt", "oak"])
def test_it_is_a_case_all_the_same(name: str, tmp_path: Path) -> None:
    _export(tmp_path / name)
    with wardian.open(tmp_path / name) as case:
        assert case.import_module("grove").AGE == 7
        case.verify()
    stock = PackageImporter(tmp_path / name)
    assert stock.import_module("grove").AGE == 7
    renamed = (tmp_path / name).read_bytes().replace(b"archive/grove/", b"archiwe/grove/")
    with pytest.raises(wardian.CorruptCaseError, match="does not start with 'archive/'"):
        wardian.open(renamed)
