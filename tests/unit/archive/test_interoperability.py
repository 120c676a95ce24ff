"""Stock readers open what the writer writes, and the reader opens what stock writers write."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.package.package_exporter import PackageExporter
from torch.package.package_importer import PackageImporter

from tests import archives
from tests.archives import name
from wardian.archive import ArchiveReader

# torch.package itself uses what torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore:TypedStorage is deprecated")


class Pickler(pickle.Pickler):
    """Writes tensors' storages as the persistent ids that torch.package reads."""

    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, torch.storage.TypedStorage):
            return ("storage", torch.FloatStorage, "0", "cpu", len(obj))
        return None


@pytest.fixture
def case(tmp_path: Path) -> Path:
    weights = torch.arange(400_000, dtype=torch.float32)
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump({"weight": weights.view(1000, 400)})
    content = struct.pack("<400000f", *range(400_000))
    records = {
        ".data/extern_modules": b"collections\ntorch\n",
        ".data/python_version": b"3.11.7",
        ".data/version": b"6\n",
        "byteorder": b"little",
        "model/model.pkl": stream.getvalue(),
        "mylib/__init__.py": b"",
        "mylib/models/__init__.py": b"NAME = 'resnet18'\n" * 100,
        "mylib/models/labels.txt": b"cat\ndog\n",
    }
    archives.write(tmp_path / "resnet.case", [content], records)
    return tmp_path / "resnet.case"


def test_zipfile_reads_a_case(case: Path) -> None:
    wanted = archives.contents(case)
    with zipfile.ZipFile(case) as stock:
        assert stock.testzip() is None
        assert stock.namelist() == [f"case/{record}" for record in wanted]
        assert all(stock.read(f"case/{record}") == content for record, content in wanted.items())


def test_zipfile_reads_a_case_with_many_records(tmp_path: Path) -> None:
    archives.write(tmp_path / "many.case", [], {f"mylib/{number}.py": b"" for number in range(66_000)})
    with zipfile.ZipFile(tmp_path / "many.case") as stock:
        assert len(stock.namelist()) == 66_002


def test_torch_package_reads_a_case(case: Path) -> None:
    importer = PackageImporter(case)
    assert importer.import_module("mylib.models").NAME == "resnet18"
    assert importer.load_text("mylib.models", "labels.txt") == "cat\ndog\n"
    weight = importer.load_pickle("model", "model.pkl")["weight"]
    assert torch.equal(weight, torch.arange(400_000, dtype=torch.float32).view(1000, 400))


def test_the_file_reader_of_torch_reads_a_case(case: Path) -> None:
    stock: Any = torch._C.PyTorchFileReader(str(case))
    assert set(stock.get_all_records()) == set(archives.contents(case))
    with ArchiveReader.open(case) as reader:
        assert stock.get_record_offset(".data/0.storage") == reader.location(name(".data/0.storage"))[0]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    with PackageExporter(tmp_path / "resnet.pt") as exporter:
        exporter.save_pickle("model", "model.pkl", {"weight": torch.arange(5.0), "steps": torch.arange(3)})
        exporter.save_text("mylib.models", "labels.txt", "cat\ndog\n")
        exporter.save_source_string("mylib.models.resnet", "x = 1\n")
    return tmp_path / "resnet.pt"


def test_an_archive_of_torch_package_is_read(package: Path) -> None:
    for source in (package, package.read_bytes()):
        with ArchiveReader.open(source) as reader:
            assert (reader.kind, reader.digest, reader.manifest) == ("torch.package", None, b"")
            assert reader.read(name("mylib/models/labels.txt")) == b"cat\ndog\n"
            assert reader.read(name("mylib/models/resnet.py")) == b"x = 1\n"
            assert ".data/extern_modules" in reader
            assert struct.unpack("<5f", reader.view(name(".data/0.storage"))) == (0, 1, 2, 3, 4)
            offset, size = reader.location(name(".data/1.storage"))
            assert package.read_bytes()[offset : offset + size] == struct.pack("<3q", 0, 1, 2)
            for record in reader.names:
                reader.verify(record)
            stock = torch._C.PyTorchFileReader(str(package))
            assert {record: stock.get_record(record) for record in stock.get_all_records()} == {
                record: reader.read(record) for record in reader.names
            }


@pytest.mark.parametrize("file_name", ["case.pt", "a b.pt", "modèle.pt"])
def test_an_archive_of_torch_package_may_have_any_name(package: Path, file_name: str) -> None:
    with PackageExporter(package.with_name(file_name)) as exporter:
        exporter.save_text("mylib", "labels.txt", "cat\n")
        exporter.save_pickle("model", "model.pkl", torch.ones(2))
    assert archives.contents(package.with_name(file_name))["mylib/labels.txt"] == b"cat\n"


def test_an_archive_in_memory_is_read() -> None:
    stream = io.BytesIO()
    with PackageExporter(stream) as exporter:
        exporter.save_text("mylib", "labels.txt", "cat\n")
    assert archives.contents(stream.getvalue())["mylib/labels.txt"] == b"cat\n"


def test_a_damaged_storage_of_torch_package_is_found(package: Path) -> None:
    data = bytearray(package.read_bytes())
    with ArchiveReader.open(package) as reader:
        offset, _ = reader.location(name(".data/0.storage"))
    data[offset] ^= 1
    with ArchiveReader.open(bytes(data)) as reader, pytest.raises(ValueError, match="CRC-32"):
        reader.verify(name(".data/0.storage"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_archive_that_was_packed_again_is_read(package: Path, compression: int, streamed: bool) -> None:
    class Unseekable(io.BytesIO):
        """Makes zipfile write data descriptors."""

        def seekable(self) -> bool:
            return False

        def seek(self, *where: int) -> int:
            raise OSError(*where)

        def tell(self) -> int:
            raise OSError

    wanted = archives.contents(package)
    stream = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for record, content in wanted.items():
            with archive.open(f"resnet/{record}", "w", force_zip64=True) as file:
                file.write(content)
    assert archives.contents(stream.getvalue()) == wanted


def test_importing_needs_neither_torch_nor_blake3() -> None:
    code = "import sys, wardian.archive; assert not {'torch', 'blake3', 'zipfile'} & set(sys.modules)"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=True)
