"""The facts that a look at a case shows."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tests.support
from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Entry, Extern, TensorForm, TensorPart
from wardian.inspection.summary import Summary, WeightFacts

TORCH = importlib.metadata.version("torch")
TENSOR = replace(tests.support.TENSOR, shape=(2,), stride=(1,))


def _summary(folder: Path, sources: Any = "--- yew/__init__.py\nRINGS = 3\n", **facts: Any) -> Summary:
    facts = {"torch": TORCH, "externs": (_extern("torch", TORCH, "torch"),), **facts}
    path = write_case(folder / "yew.case", sources, **facts)
    with ArchiveReader.open(path) as archive:
        return Summary.of(archive, "yew.case")


def _extern(name: str | None, version: str | None, *modules: str, soft: bool = False) -> Extern:
    return Extern(distribution=name, version=version, modules=modules, names=(), soft=soft)


def test_a_case_is_its_file_its_digest_and_the_sizes_of_its_parts(tmp_path: Path) -> None:
    summary = _summary(tmp_path, storages=(b"\0" * 8, b"\0" * 16))
    assert (summary.path, summary.kind, summary.code) == ("yew.case", "case", len("RINGS = 3\n"))
    assert summary.size == (tmp_path / "yew.case").stat().st_size
    assert summary.storages == (2, 24)
    assert summary.fits_here


def test_weights_are_told_by_dtype_the_largest_first_and_shared_ones_count_once(tmp_path: Path) -> None:
    half = replace(TENSOR, dtype="float16", record=".data/1.storage", shape=(100,))
    buffer = replace(TENSOR, name="mean", record=".data/2.storage", kind="buffer")
    part = TensorPart(record=".data/2.storage", dtype="int64", shape=(3,), stride=(1,), offset=0)
    sparse = replace(
        TENSOR, name="s", record=None, form=TensorForm(layout="sparse_coo", parts={"values": part})
    )
    other = replace(TENSOR, name="view", offset=1, shape=(1,))
    tensors = (TENSOR, replace(TENSOR, name="tied"), half, buffer, sparse, other, replace(other, offset=0))
    summary = _summary(tmp_path, storages=(b"\0" * 8, b"\0" * 200, b"\0" * 24), tensors=tensors)
    assert summary.weights == (
        WeightFacts(dtype="float16", tensors=1, parameters=100, bytes=200),
        WeightFacts(dtype="float32", tensors=6, parameters=2 + 3 + 1 + 1, bytes=8 + 8 + 24 + 4 + 4),
    )
    assert summary.parameters == 107


@pytest.mark.parametrize(
    ("extern", "here", "installed"),
    [
        (_extern("torch", TORCH, "torch"), "ok", TORCH),
        (_extern("packaging", "999.0", "packaging"), "older", importlib.metadata.version("packaging")),
        (_extern("nobody-s", "1.0", "nobody_s"), "missing", None),
        (_extern(None, None, "nobody_s"), "missing", None),
    ],
)
def test_an_extern_is_here_or_not(tmp_path: Path, extern: Extern, here: str, installed: str | None) -> None:
    summary = _summary(tmp_path, externs=(extern,))
    (facts,) = summary.externs
    assert (facts.here, facts.installed, facts.needed) == (here, installed, True)
    assert summary.fits_here is (here == "ok")
    assert (facts.problem is None) is (here == "ok")
    assert [problem.what for problem in summary.problems] == ([facts.problem] if facts.problem else [])


def test_what_is_optional_may_be_missing(tmp_path: Path) -> None:
    soft = _extern("nobody-s", "1.0", "nobody_s", soft=True)
    summary = _summary(tmp_path, externs=(soft,))
    assert (summary.externs[0].needed, summary.externs[0].here, summary.fits_here) == (False, "missing", True)


def test_an_entry_point_that_is_a_function_is_called_by_its_name(tmp_path: Path) -> None:
    entry = Entry(name="model", record="model/model.pkl", type="types.FunctionType", test=None, outputs=False)
    named = _summary(tmp_path, pickle=b"\x80\x04cyew.deep\ngrow\n.", entries=(entry,))
    assert named.functions == {"model": "yew.deep.grow"}
    assert named.what(entry) == "yew.deep.grow"
    assert _summary(tmp_path, entries=(entry,)).what(entry) == "types.FunctionType"
    damaged = _summary(tmp_path, pickle=b"\x80\x04c", entries=(entry,))
    assert damaged.what(entry) == "types.FunctionType"
    kind = replace(entry, type="yew.Yew")
    assert _summary(tmp_path, pickle=b"\x80\x04cyew\ngrow\n.", entries=(kind,)).what(kind) == "yew.Yew"


def test_a_proof_is_told_in_words_and_an_archive_of_torch_package_has_none(tmp_path: Path) -> None:
    summary = _summary(tmp_path, proof="passed")
    assert summary.proof == replace(MANIFEST, proof="passed").proven
    foreign = replace(summary, kind="torch.package")
    assert foreign.proof == "nothing: archives of torch.package have no proof"


def test_the_facts_are_plain_data(tmp_path: Path) -> None:
    plain = _summary(tmp_path, storages=(b"\0" * 8,), tensors=(TENSOR,), metadata={"note": "oak"}).to_plain()
    assert json.loads(json.dumps(plain))["digest"] == plain["digest"]
    assert plain["entries"] == [
        {
            "name": "model",
            "type": "builtins.NoneType",
            "function": None,
            "self_test": False,
            "outputs": False,
        }
    ]
    assert (plain["tensors"], plain["parameters"], plain["metadata"]) == (1, 2, {"note": "oak"})
    assert plain["proof"] == {"outcome": "skipped", "words": MANIFEST.proven}


def test_an_extracted_case_is_as_large_as_its_files(tmp_path: Path) -> None:
    path = write_case(tmp_path / "yew.case", "--- yew/__init__.py\n--- .data/extern_modules\n")
    with ArchiveReader.open(path) as archive:
        for name in archive.names:
            target = tmp_path / "folder" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
        names = archive.names
    folder = FolderReader(tmp_path / "folder")
    assert Summary.of(folder, "folder").size == sum(map(folder.size, names))
