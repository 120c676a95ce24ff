"""Weights of an archive of torch.package are read by the names of its modules, and none of its code runs."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import pytest
import torch
from torch.package.package_exporter import PackageExporter

from tests.support import importable, write_tree
from wardian.archive import ArchiveReader
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError
from wardian.reading.bare import read_bare_weights

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")

SOURCES = """
--- quince.py
import torch
print("packed code ran")
class Quince(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
        self.head = torch.nn.Linear(2, 3)
        self.head.weight = self.body[0].weight
        self.register_buffer("scale", torch.arange(3.0)[::2])
        self.register_buffer("scratch", torch.ones(1), persistent=False)
    def __setstate__(self, state):
        raise RuntimeError("packed code ran")
"""


def _export(folder: Path, held: object) -> Path:
    with PackageExporter(str(folder / "old.pt")) as exporter:
        exporter.extern(["torch.**", "collections.**"])
        exporter.intern("quince")
        exporter.save_pickle("model", "model.pkl", held)
    return folder / "old.pt"


def _read(path: Path) -> dict[str, torch.Tensor]:
    with ArchiveReader.open(path) as archive:
        return read_bare_weights(archive, RecordName("model/model.pkl"))


def test_names_and_values_are_those_of_state_dict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with importable(write_tree(tmp_path / "code", SOURCES)) as load:
        model = load("quince").Quince()
        expected = model.state_dict()
        path = _export(tmp_path, model)
    capsys.readouterr()
    found = _read(path)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)
    assert found["head.weight"].data_ptr() == found["body.0.weight"].data_ptr()
    assert capsys.readouterr().out == ""


def test_a_state_dict_keeps_its_keys(tmp_path: Path) -> None:
    state = torch.nn.Linear(2, 1).state_dict()
    found = _read(_export(tmp_path, {"model": state, "epochs": [1, 2]}))
    assert found.keys() == {"model.weight", "model.bias"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"cos\nsystem\n(S'touch ran'\ntR.", id="a call"),
        pytest.param(b"ccollections\nOrderedDict\n(dS'move_to_end'\nNs\x86b.", id="an attribute of a class"),
        pytest.param(b'cbuiltins\neval\n(S\'open("ran", "w")\'\ntR.', id="an evaluation"),
        pytest.param(b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.", id="a tensor of nothing"),
        pytest.param(b"(S'storage'\nNNNNtQ.", id="no storage"),
        pytest.param(pickle.dumps([1])[:-1], id="no end"),
    ],
)
def test_hostile_pickles_run_nothing(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with PackageExporter(str(tmp_path / "old.pt")) as exporter:
        exporter.save_binary("model", "model.pkl", content)
    with contextlib.suppress(CorruptCaseError):
        assert _read(tmp_path / "old.pt") == {}
    assert not (tmp_path / "ran").exists()
