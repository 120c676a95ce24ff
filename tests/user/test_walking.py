"""Packages that import what they find in their own folder; libraries that torch had imported before."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python, write_tree

_TREE = """
--- meadow/__init__.py
import importlib, pkgutil
for finder, name, is_package in pkgutil.walk_packages(__path__, __name__ + "."):
    module = importlib.import_module(name)
    finder.find_spec(name).loader.exec_module(module)
--- meadow/tools.py
FACTOR = 3
--- meadow/net.py
import numpy
import torch
from meadow.tools import FACTOR

class Net(torch.nn.Module):
    def forward(self, x):
        return x * FACTOR * float(numpy.float64(1))
"""

_PACK = """
import numpy, torch, wardian
from meadow.net import Net
report = wardian.pack(Net(), "net.case", inputs=(torch.ones(2),))
print([d.name for d in report.manifest.distributions], [e.distribution for e in report.manifest.externs])
"""

_LOAD = """
import torch, wardian
print(wardian.load("net.case")(torch.ones(2)).tolist())
"""


def test_a_package_that_walks_its_folder(tmp_path: Path) -> None:
    sources = write_tree(tmp_path / "sources", _TREE)
    printed = run_python(_PACK, folder=tmp_path, paths=(sources,))
    assert printed.strip() == "['first-party'] ['numpy', 'torch']"
    assert run_python(_LOAD, folder=tmp_path).strip() == "[3.0, 3.0]"
