"""What of a plan and an object becomes which record."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import marshal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import importable, write_tree
from wardian.packing.writing.assembly import _mentions

PROJECT = """
--- elm/__init__.py
--- elm/model.py
import json
import torch
from elm import bark

class Elm(torch.nn.Module):
    def forward(self, x):
        return x
    def never(self):
        import elm.unused
--- elm/bark.py
import elm.rings
--- elm/rings.py
--- elm/unused.py
import csv
--- elm/model.pkl
data with the name of nothing else
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elm")
    with importable(write_tree(folder / "project", PROJECT)) as load:
        model = load("elm.model").Elm()
        wardian.pack(model, folder / "elm.case", inputs=(torch.ones(1),))
    return folder / "elm.case"


def test_records_are_where_the_format_wants_them(case: Path) -> None:
    tag = sys.implementation.cache_tag
    with wardian.open(case) as opened:
        assert set(opened.files()) == {
            ".data/0.storage",
            ".data/1.storage",
            ".data/extern_modules",
            ".data/python_version",
            ".data/version",
            ".wardian/imports",
            ".wardian/manifest.json",
            ".wardian/seal",
            ".wardian/tests/model.pkl",
            "byteorder",
            "elm/__init__.py",
            "elm/bark.py",
            "elm/model.pkl",
            "elm/model.py",
            "elm/rings.py",
            "elm/unused.py",
            "model/model.pkl",
            *(f".wardian/bytecode/{tag}/elm/{name}.pyc" for name in ("__init__", "bark", "model", "rings")),
        }
        assert opened.read("elm/model.pkl") == b"data with the name of nothing else\n"
        assert opened.read(".data/version") == b"6\n"
        externs = opened.read(".data/extern_modules").split()
        assert externs == sorted(externs)
        assert {b"csv", b"json", b"torch"} <= set(externs)


def test_bytecode_is_unchecked_hash_based_and_holds_no_path(case: Path) -> None:
    with wardian.open(case) as opened:
        data = opened.read(f".wardian/bytecode/{sys.implementation.cache_tag}/elm/bark.pyc")
        source = opened.read("elm/bark.py")
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == (1).to_bytes(4, "little")
    assert data[8:16] == importlib.util.source_hash(source)
    code = marshal.loads(data[16:])
    assert code.co_filename == "elm/bark.py"
    assert str(case.parent).encode() not in data


def test_the_manifest_describes_the_object_and_the_packer(case: Path) -> None:
    with wardian.open(case) as opened:
        document: dict[str, Any] = json.loads(opened.read(".wardian/manifest.json"))
    assert document["entries"] == [
        {
            "name": "model",
            "outputs": True,
            "record": "model/model.pkl",
            "test": ".wardian/tests/model.pkl",
            "type": "elm.model.Elm",
        }
    ]
    assert document["python"]["tag"] == sys.implementation.cache_tag
    assert document["torch"] == importlib.metadata.version("torch")
    assert set(document["records"]) == set(opened_names(case)) - {".wardian/manifest.json", ".wardian/seal"}


def opened_names(case: Path) -> tuple[str, ...]:
    with wardian.open(case) as opened:
        return opened.files()


def test_the_entry_point_gives_way_to_no_file_and_no_file_to_it(tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", PROJECT + "--- elm/elm.pkl\nnamed as the entry point")
    with (
        importable(project) as load,
        pytest.raises(wardian.PackError, match=r"elm/elm\.pkl is both a pickle and a file") as caught,
    ):
        wardian.pack(load("elm.model").Elm(), tmp_path / "elm.case", name="elm", prove=False)
    assert caught.value.problems[0].fix.startswith("pack(..., name=")


def test_a_build_mentions_an_operator_by_its_whole_name() -> None:
    build = b"\0rois_align\0_nms\0nms2\0nms.out\0deform"
    schemas = (
        "vision::nms(Tensor x) -> Tensor",
        "vision::nms.out(Tensor x) -> Tensor",
        "vision::align() -> ()",
    )
    assert [_mentions([b"", build], schema) for schema in schemas] == [True, True, False]
    assert _mentions([b"deform"], "vision::deform() -> ()")
