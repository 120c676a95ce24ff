"""Records that PyTorch's own reader loads, exchanged: found before anything of them runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import wardian
from tests.archives import Forged, exchange, forge
from wardian.archive import ArchiveReader
from wardian.domain.names import RecordName
from wardian.errors import CodeNeededError, CorruptCaseError
from wardian.package import PackageExporter, PackageImporter

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


class Twice(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def _script_record(path: Path) -> tuple[RecordName, bytes]:
    with ArchiveReader.open(path) as archive:
        name = next(n for n in archive.names if n.startswith(".data/ts_code/code/") and n.endswith(".py"))
        return name, archive.read(name)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed script: to pack is no part of the attack, whose time and memory are bounded."""
    path = tmp_path_factory.mktemp("twice") / "twice.case"
    wardian.pack(torch.jit.script(Twice()), path, prove=False)
    return path


def test_a_script_that_was_exchanged_does_not_run(twice: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(twice, tmp_path))
    name, code = _script_record(path)
    changed = code.replace(b"torch.mul(x, 2)", b"torch.mul(x, 3)")
    assert changed != code
    exchange(path, name, changed)
    for load in (wardian.load, lambda path: wardian.load(path, mmap=False)):
        with pytest.raises(CorruptCaseError, match="digest") as caught:
            load(path)
        assert caught.value.record == name


def _package(path: Path) -> dict[str, bytes]:
    with PackageExporter(path) as exporter:
        exporter.save_pickle("twice", "twice.pkl", [torch.jit.script(Twice()), torch.arange(100.0)])
    with ArchiveReader.open(path) as archive:
        return {n: archive.read(n) for n in archive.names if not n.startswith(".wardian/")}


@pytest.mark.parametrize("kind", ["ts_code/code/", "storage", "twice.pkl", "extern_modules"])
def test_a_record_of_a_package_that_does_not_have_its_crc_is_not_used(kind: str, tmp_path: Path) -> None:
    records = _package(tmp_path / "whole.pt")
    name = next(n for n in records if kind in n and not n.endswith(".debug_pkl"))
    entries = [
        Forged(b"twice/" + n.encode(), content, both={"crc": 7} if n == name else {})
        for n, content in records.items()
    ]
    damaged = forge(entries, sealed=False)
    with pytest.raises(CorruptCaseError, match="CRC-32") as caught:
        PackageImporter(_written(tmp_path / "damaged.pt", damaged)).load_pickle("twice", "twice.pkl")
    assert caught.value.record == name
    with pytest.raises(CorruptCaseError, match="CRC-32"):
        wardian.load(tmp_path / "damaged.pt")


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_weights_of_a_package_are_not_silently_nothing(tmp_path: Path) -> None:
    entries = [Forged(b"twice/" + n.encode(), c) for n, c in _package(tmp_path / "whole.pt").items()]
    _written(tmp_path / "twice.pt", forge(entries, sealed=False))
    with wardian.open(tmp_path / "twice.pt") as case:
        for look in (
            lambda: case.tensors,
            case.state_dict,
            lambda: case.export_safetensors(tmp_path / "twice.safetensors"),
        ):
            with pytest.raises(CodeNeededError, match="has no index of its tensors"):
                look()
    assert not (tmp_path / "twice.safetensors").exists()
