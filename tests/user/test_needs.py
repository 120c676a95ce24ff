"""What a library has noted the absence of is asked of the receiver, whatever error it ends in."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import run_python, write_tree

PROJECT = """
--- site/bench/__init__.py
try:
    import numpy
except ImportError:
    numpy = None

def turn():
    if numpy is None:
        raise RuntimeError("install NumPy to turn")
    return int(numpy.int64(3))

def heap():
    return int(numpy.int64(3))

def guess():
    return 1 if numpy is None else int(numpy.int64(3))

--- site/bench-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: bench
Version: 1.0
--- site/bench-1.0.dist-info/RECORD
bench/__init__.py,,

--- project/hazel.py
import bench
import sympy
import torch

class Telling(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) + bench.turn()

class Failing(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) + bench.heap()

class Guessing(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) + bench.guess()

class Compiling(torch.nn.Linear):
    def forward(self, x):
        y = sympy.Symbol("y")
        return super().forward(x) + float(sympy.lambdify(y, sympy.sin(y), "numpy")(1.0))
"""
PACKS = """
    import json
    import torch, wardian
    import hazel
    needed = {}
    for kind in (hazel.Telling, hazel.Failing, hazel.Guessing, hazel.Compiling):
        policy = wardian.Policy(extern=["bench.**"])
        report = wardian.pack(kind(2, 2), "out.case", inputs=(torch.ones(1, 2),), policy=policy)
        externs = [e.distribution for e in report.manifest.externs if not e.soft]
        needed[kind.__name__] = sorted({"numpy", "dill"}.intersection(externs))
    print(json.dumps(needed))
"""


def test_what_a_library_notes_the_absence_of_is_needed_where_the_proof_shows_it(tmp_path: Path) -> None:
    write_tree(tmp_path, PROJECT)
    printed = run_python(PACKS, folder=tmp_path, paths=(tmp_path / "project", tmp_path / "site"))
    needed = json.loads(printed.splitlines()[-1])
    assert needed["Telling"] == ["numpy"]  # a RuntimeError says so
    assert (
        "numpy" in needed["Failing"]
    )  # an AttributeError of None says nothing: all that was hidden is needed
    assert "numpy" in needed["Guessing"]  # no error: another result
    assert needed["Compiling"] == ["numpy"]
