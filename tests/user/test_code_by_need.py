"""Code by need: of a library come along the modules and data that code can reach, proven as before."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.support import run_python, write_tree

_LIBRARY = """
--- orchard/__init__.py
_import_structure = {"trees.pear": ["Pear"], "trees.plum": ["Plum"]}

def __getattr__(name):
    import importlib
    for module, names in _import_structure.items():
        if name in names:
            return getattr(importlib.import_module("orchard." + module), name)
    raise AttributeError(name)
--- orchard/trees/__init__.py
--- orchard/trees/apple.py
import os
import torch

class Apple(torch.nn.Module):
    def forward(self, x):
        from orchard.soil import loam
        if x.numel() > 5:
            from orchard import fence
        return x + loam.depth()

    def press(self):
        from orchard import Pear
        return Pear().juice()

    def dry(self, kind):
        import importlib
        return importlib.import_module(f"orchard.dryers.{kind}").dry()

    def sell(self, kind):
        import importlib
        return importlib.import_module(f"orchard.markets.{kind}").sell()

    def label(self):
        with open(os.path.join(os.path.dirname(__file__), "labels.bin"), "rb") as file:
            return len(file.read())

    def tool(self):
        import pkgutil
        return pkgutil.resolve_name(TOOLS["saw"])()

TOOLS = {"saw": "orchard.tools.saw.cut"}
--- orchard/trees/pear.py
class Pear:
    def juice(self):
        return "pear juice"
--- orchard/trees/plum.py
class Plum:
    pass
--- orchard/soil/__init__.py
--- orchard/soil/loam.py
def depth():
    return 3
--- orchard/soil/clay.py
--- orchard/fence.py
--- orchard/dryers/__init__.py
--- orchard/dryers/sun.py
def dry():
    return "dry"
--- orchard/tools/__init__.py
--- orchard/tools/saw.py
def cut():
    return "cut"
--- orchard/tools/axe.py
--- orchard/markets/__init__.py
--- orchard/markets/town.py
def sell():
    return "sold"
--- orchard/note.txt
small
--- orchard-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: orchard
Version: 2.0
"""

_PACK = """
import json, sys, torch, wardian
from orchard.trees.apple import Apple
report = wardian.pack(Apple(), "apple.case", inputs=(torch.ones(1),))
print(report.plan)
print(report.plan.why("orchard.trees.pear"))
print(report.plan.why("orchard.trees.plum"))
wardian.pack(Apple(), "whole.case", inputs=(torch.ones(1),), policy=wardian.Policy(base="whole"), prove=False)
wardian.pack(Apple(), "unproven.case", inputs=(torch.ones(1),), prove=False)
"""

_LOAD = """
import importlib.util, pathlib, pickle, sys, torch, wardian
path = pathlib.Path("apple.case")
apple = wardian.load(path)
root = type(apple).__module__.removesuffix(".trees.apple")
print(apple(torch.ones(1)).item(), apple(torch.ones(6)).sum().item())
print(apple.press(), apple.dry("sun"), apple.label(), apple.tool())
print(importlib.util.find_spec(root + ".trees.plum") is not None)
try:
    apple.sell("town")
except ModuleNotFoundError as error:
    print(type(error).__name__, error.name)
    print(str(pickle.loads(pickle.dumps(error))).replace(str(path.absolute()), "apple.case"))
before = path.read_bytes()
wardian.pack(apple, path, inputs=(torch.ones(1),))
print(path.read_bytes() == before)
"""


def _install(folder: Path, library: str, large: Mapping[str, bytes]) -> Path:
    """Write a distribution and the list of its files; return *folder*."""
    write_tree(folder, library)
    for name, content in large.items():
        (folder / name).write_bytes(content)
    record = folder / "orchard-2.0.dist-info/RECORD"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    record.write_text("".join(f"{file},,\n" for file in files))
    return folder


def _records(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        names = {name.removeprefix("case/") for name in archive.namelist()}
    return {name.removeprefix("orchard/") for name in names if name.startswith("orchard/")}


def test_what_can_be_reached_comes_along_and_what_cannot_is_told(tmp_path: Path) -> None:
    large = {
        "orchard/trees/labels.bin": bytes(20_000),
        "orchard/trees/pictures.bin": bytes(20_000),
        "orchard/markets/city.py": b"# " + b"x" * (1 << 20),
    }
    site = _install(tmp_path / "site", _LIBRARY, large)
    told = run_python(_PACK, folder=tmp_path, paths=(site,))
    packed = _records(tmp_path / "apple.case")
    assert packed == {
        *("__init__.py", "fence.py", "note.txt", "trees/__init__.py", "trees/apple.py", "trees/pear.py"),
        *("trees/labels.bin", "soil/__init__.py", "soil/loam.py", "dryers/__init__.py", "dryers/sun.py"),
        *("tools/__init__.py", "tools/saw.py"),
    }
    everything = {str(path.relative_to(site / "orchard")) for path in (site / "orchard").rglob("*.*")}
    assert _records(tmp_path / "whole.case") == _records(tmp_path / "unproven.case") == everything
    assert "part of orchard 2.0 (11 modules of 17" in told
    assert "orchard.trees.pear: intern (it can be reached by code that runs)" in told
    assert "orchard.trees.apple imports orchard.trees.pear (function)" in told
    assert "orchard.trees.plum: left out" in told
    lines = run_python(_LOAD, folder=tmp_path).splitlines()
    assert lines[:4] == [
        "4.0 24.0",
        "pear juice dry 20000 cut",
        "True",
        "ModuleNotInCaseError orchard.markets",
    ]
    assert lines[4].startswith("orchard.markets is not in apple.case: of orchard 2.0 it has the modules that")
    assert 'Policy(intern=["orchard.markets.**"])' in lines[5]
    assert 'Policy(base="whole")' in lines[5]
    assert lines[6] == "True"


_FALLBACK = """
--- orchard/__init__.py
--- orchard/apple.py
import importlib
import torch

try:
    from numpy import float32 as kind
except ImportError:
    kind = None

class Apple(torch.nn.Module):
    def forward(self, x):
        if kind is None:
            return importlib.import_module("orchard.engines." + "PLAIN".lower()).double(x)
        return x * 2
--- orchard/engines/__init__.py
--- orchard/engines/plain.py
def double(x):
    return x + x
--- orchard-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: orchard
Version: 2.0
"""

_PACK_FALLBACK = """
import torch, wardian
from orchard.apple import Apple
report = wardian.pack(Apple(), "apple.case", inputs=(torch.ones(1),))
print(report.manifest.proof, {e.distribution: e.soft for e in report.manifest.externs}["numpy"])
"""


def test_a_proof_that_misses_a_module_is_followed_by_one_of_whole_libraries(tmp_path: Path) -> None:
    site = _install(tmp_path / "site", _FALLBACK, {"orchard/engines/large.py": b"# " + b"x" * (1 << 20)})
    assert run_python(_PACK_FALLBACK, folder=tmp_path, paths=(site,)).strip() == "passed True"
    assert _records(tmp_path / "apple.case") >= {"engines/plain.py", "engines/large.py"}
