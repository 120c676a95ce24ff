"""Clean processes that fork from a template, and new interpreters: the case is the same, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import run_python, write_tree

PROJECT = """
--- stock.py
from shop.made import TIN
--- shop/made.py
TIN = 2
--- shop/__init__.py
import os
import random

import numpy
import torch

MADE_IN = os.getcwd()
RATE = float(os.environ.get("SHOP_RATE", "0.5"))

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x):
        import stock
        noise = random.random() + float(numpy.random.rand())
        return self.linear(x) * RATE + noise + torch.rand(2) + torch.get_num_threads()
"""

SCRIPT = """
    import pathlib, sys, torch, wardian
    from shop import Net
    torch.manual_seed(0)
    model, inputs = Net(), (torch.ones(3),)
    for name, prove in {"one": True, "two": True, "alone": "isolated"}.items():
        wardian.pack(model, name + ".case", inputs=inputs, prove=prove)
    one, two, alone = (pathlib.Path(name + ".case").read_bytes() for name in ("one", "two", "alone"))
    print(one == two == alone)
    sys.path.insert(0, str(pathlib.Path("beside").absolute()))
    wardian.pack(model, "beside.case", inputs=inputs)
    print(pathlib.Path("beside.case").read_bytes() == one)
    wardian.end_templates()
    wardian.pack(model, "later.case", inputs=inputs)
    print(pathlib.Path("later.case").read_bytes() == one)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")
def test_a_case_does_not_depend_on_how_its_clean_processes_were_started(tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", PROJECT)
    write_tree(tmp_path / "beside", "--- unused.py\n")
    printed = run_python(SCRIPT, folder=tmp_path, paths=(project,))
    assert printed.split() == ["True", "True", "True"]


_NOT_USED = """
--- kiln-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: kiln
Version: 1.0
Requires-Dist: torch
Requires-Dist: numpy
--- kiln-1.0.dist-info/RECORD
kiln.py,,
--- kiln.py
import numpy
import torch

class Kiln(torch.nn.Linear):
    def weight_of_row(self, row):
        return numpy.linalg.norm(self.weight[row].detach().numpy())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")
def test_a_proof_begins_once_without_what_a_library_requires_and_the_object_does_not_use(
    tmp_path: Path,
) -> None:
    script = """
        import torch, wardian
        from kiln import Kiln
        from wardian.processes import templates
        wardian.end_templates()
        report = wardian.pack(Kiln(2, 1), "kiln.case", inputs=(torch.ones(2),))
        print([extern.soft for extern in report.plan.externs if extern.distribution == "numpy"])
        print(len([template for template in templates._templates if not template.is_further]))
    """
    printed = run_python(script, folder=tmp_path, paths=(write_tree(tmp_path / "site", _NOT_USED),))
    assert printed.splitlines() == ["[True]", "2"]


_EDITED = """
    import pathlib, time, torch, wardian
    from hut import Hut
    hut, inputs = Hut(), (torch.ones(1),)
    def pack(name):
        wardian.pack(hut, name + ".case", inputs=inputs)
        with wardian.open(name + ".case") as case:
            return sorted(case.manifest.records), case.import_module("hut").RATE
    first = pack("first")
    print(pack("second") == first)
    source = pathlib.Path("project/hut/rates.py")
    source.write_text("RATE = 5\\n")
    print([rate for _, rate in [first, pack("third")]])
"""
_HUT = """
--- hut/__init__.py
import torch
from hut.rates import RATE

class Hut(torch.nn.Module):
    def forward(self, x):
        return x + 1
--- hut/rates.py
RATE = 3
"""


@pytest.mark.filterwarnings("ignore:.* was changed after")
def test_what_is_packed_again_is_what_the_files_say_by_then(tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", _HUT)
    assert run_python(_EDITED, folder=tmp_path, paths=(project,)).splitlines() == ["True", "[3, 5]"]
