"""Archives that released torch.package wrote are read, and hold what make_archives.py put there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from wardian.package import PackageExporter, PackageImporter, sys_importer

ARCHIVES = sorted((Path(__file__).parent / "archives").glob("torch-*.pt"))

each_archive = pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)

since_1_9 = pytest.mark.parametrize(
    # torch 1.8 could not save TorchScript, and its traced modules name a function that PyTorch has removed.
    "path",
    [path for path in ARCHIVES if "1.8" not in path.stem],
    ids=lambda path: path.stem,
)


def load(importer: Any, name: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        # Old archives name classes that PyTorch has deprecated since.
        warnings.simplefilter("ignore", FutureWarning)
        return importer.load_pickle("garden", name, **options)


def check_flower(flower: Any, *, traced: bool = False) -> None:
    x = torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    assert flower(x).tolist() == [[6.5, 10.5], [7.5, 11.5]]
    if not traced:  # of the attributes, a traced module keeps those it uses
        assert flower.steps.tolist() == [7]


def check_tensors(loaded: dict[str, Any]) -> None:
    base, part, transposed = loaded["shared"]
    others = loaded["others"]
    assert transposed.tolist() == [[0, 3], [1, 4], [2, 5]]
    part.fill_(-1)
    assert base.tolist() == [0, 1, -1, -1, 4, 5]
    assert others["half"].tolist() == others["bfloat16"].tolist() == [1.5, -2.0]
    assert (others["half"].dtype, others["bfloat16"].dtype) == (torch.float16, torch.bfloat16)
    assert others["long"].tolist() == [[1], [2]]
    assert others["bool"].tolist() == [True, False]
    assert others["complex"].tolist() == [1 + 2j]
    assert others["empty"].shape == (0, 3)
    assert isinstance(others["parameter"], torch.nn.Parameter)
    assert others["sparse"].to_dense().tolist() == [[1, 0], [0, 1]]
    assert others["dtype"] is torch.float64
    assert others["device"] == torch.device("cpu")
    assert others["size"] == torch.Size([1, 2])


def test_there_are_archives_of_every_kind_of_release() -> None:
    versions = {path.stem.removeprefix("torch-").rpartition(".")[0] for path in ARCHIVES}
    assert {"1.8", "1.9", "1.10", "1.11", "1.12", "1.13", "2.0", "2.2", "2.5", "2.15"} <= versions


@each_archive
def test_objects_and_their_code(path: Path) -> None:
    i = PackageImporter(path)
    garden = load(i, "garden.pkl")
    check_flower(garden.flowers[0])
    assert garden.flowers[0] is garden.flowers[1]
    assert garden.petals == ("red", 5)
    assert garden.petals.colour == "red"
    assert type(garden).__module__ == f"{i.id()}.meadow.flowers"
    assert load(i, "function.pkl")(2) == 6
    assert i.import_module("meadow").result == "meadow"
    with pytest.raises(NotImplementedError):
        i.import_module("meadow.soil").scarecrow.colour()


@each_archive
def test_tensors(path: Path) -> None:
    i = PackageImporter(path)
    check_tensors(load(i, "tensors.pkl"))
    check_tensors(load(i, "tensors.pkl"))
    assert load(i, "garden.pkl", map_location="meta").flowers[0].steps.is_meta


@since_1_9
def test_traced_and_scripted_modules(path: Path) -> None:
    i = PackageImporter(path)
    check_flower(load(i, "traced.pkl"), traced=True)
    loaded = load(i, "scripted.pkl")
    check_flower(loaded["scripted"])
    check_flower(loaded["eager"])
    assert loaded["scripted"].linear.weight.data_ptr() == loaded["eager"].linear.weight.data_ptr()


@each_archive
def test_files_and_the_importer_in_packed_code(path: Path) -> None:
    i = PackageImporter(path)
    version = path.stem.removeprefix("torch-")
    assert i.load_text("texts", "note.txt") == f"h\u00e9llo from torch {version}"
    assert i.load_binary("texts", "raw.bin") == bytes(range(256))
    asks = i.import_module("asks")
    assert asks.text == i.load_text("texts", "note.txt")
    assert asks.packaged
    assert i.file_structure().has_file("meadow/flowers.py")
    assert "torch" in i.extern_modules
    with pytest.raises(ImportError, match="torch"):
        PackageImporter(path, module_allowed=lambda name: name.partition(".")[0] != "torch")
    python = i.python_version()
    assert (python is None) == (version.startswith(("1.8", "1.9", "1.10", "1.11")))


@each_archive
def test_the_case_view(path: Path) -> None:
    with wardian.open(path) as case:
        names = {entry.name for entry in case.manifest.entries}
        expected = {f"garden/{n}.pkl" for n in ("garden", "tensors", "function", "traced", "scripted")}
        assert names == expected - ({"garden/scripted.pkl"} if "1.8" in path.stem else set())
        check_flower(case.load("garden/garden.pkl").flowers[0])
        if "1.8" not in path.stem:
            check_flower(case.load("garden/traced.pkl"), traced=True)
            check_flower(case.load("garden/scripted.pkl")["scripted"])
        check_tensors(case.load("garden/tensors.pkl"))
        assert case.load("garden/function.pkl")(2) == 6
        assert case.read("texts/raw.bin") == bytes(range(256))
        with pytest.raises(NotImplementedError):
            case.import_module("meadow.soil").scarecrow.colour()


@each_archive
def test_packaged_again(path: Path, tmp_path: Path) -> None:
    i = PackageImporter(path)
    with PackageExporter(tmp_path / "again.pt", importer=(i, sys_importer)) as e:
        e.intern("**")
        e.save_pickle("garden", "garden.pkl", load(i, "garden.pkl"))
        if "1.8" not in path.stem:
            e.save_pickle("garden", "traced.pkl", load(i, "traced.pkl"))
    again = PackageImporter(tmp_path / "again.pt")
    check_flower(load(again, "garden.pkl").flowers[0])
    if "1.8" not in path.stem:
        check_flower(load(again, "traced.pkl"), traced=True)
    with pytest.raises(NotImplementedError):
        again.import_module("meadow.soil").scarecrow.colour()
