"""The thin policy: only first-party code is in the case, distributions come from the environment."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import wardian
from tests.support import run_python, write_tree

_PROJECT = """
--- garden/__init__.py
--- garden/net.py
import torch
from compost import heap

class Net(torch.nn.Module):
    def forward(self, x):
        return heap.warm(x)
"""

_DISTRIBUTION = """
--- compost/__init__.py
--- compost/heap.py
def warm(x):
    return x + 30
--- compost-1.4.dist-info/METADATA
Metadata-Version: 2.1
Name: compost
Version: 1.4
--- compost-1.4.dist-info/top_level.txt
compost
--- compost-1.4.dist-info/RECORD
compost/__init__.py,,
compost/heap.py,,
compost-1.4.dist-info/METADATA,,
compost-1.4.dist-info/top_level.txt,,
compost-1.4.dist-info/RECORD,,
"""

_PACK = """
import sys, torch, wardian
from garden.net import Net
wardian.pack(Net(), "garden.case", inputs=(torch.ones(1),), policy=wardian.Policy(base=sys.argv[-1]))
"""

_LOAD = """
import sys, torch, wardian
try:
    model = wardian.load("garden.case")
except wardian.EnvironmentMismatchError as error:
    print(error)
else:
    print(model(torch.ones(1)).item(), sys.modules[type(model).__module__].heap.__name__)
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return write_tree(tmp_path / "project", _PROJECT), write_tree(tmp_path / "site", _DISTRIBUTION)


def _pack(folder: Path, base: str, places: tuple[Path, Path]) -> list[str | None]:
    run_python(_PACK.replace("sys.argv[-1]", repr(base)), folder=folder, paths=places)
    with zipfile.ZipFile(folder / "garden.case") as archive:
        names = archive.namelist()
    assert "case/garden/net.py" in names
    assert ("case/compost/heap.py" in names) == (base == "hermetic")
    return [line for line in wardian.requirements(folder / "garden.case") if line.startswith("compost")]


def test_a_thin_case_takes_distributions_from_where_it_is_loaded(
    tmp_path: Path, places: tuple[Path, Path]
) -> None:
    assert _pack(tmp_path, "thin", places) == ["compost==1.4"]
    assert run_python(_LOAD, folder=tmp_path, paths=(places[1],)).strip() == "31.0 compost.heap"
    told = run_python(_LOAD, folder=tmp_path)
    assert "compost" in told
    assert "pip install" in told
    assert "compost==1.4" in told


def test_a_hermetic_case_needs_none(tmp_path: Path, places: tuple[Path, Path]) -> None:
    assert _pack(tmp_path, "hermetic", places) == []
    printed = run_python(_LOAD, folder=tmp_path).split()
    assert printed[0] == "31.0"
    assert printed[1].endswith(".compost.heap")
