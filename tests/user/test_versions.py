"""The same bytes from every process; cases of one library in two versions in one process."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import finish, run_python, start_python, write_tree

PROJECT = """
--- meadow/__init__.py
--- meadow/model.py
import torch
from meadow.seeds import SEEDS

class Meadow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds = {"clover", "daisy", "poppy", "thyme"}
        self.more = frozenset(SEEDS)
        self.soil = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.soil(x)
--- meadow/seeds.py
SEEDS = {"oat", "rye", "barley", "wheat"}
--- meadow/data/b.txt
b
--- meadow/data/a.txt
a
"""

PACKER = """
    import sys, torch, wardian
    torch.manual_seed(0)
    from meadow.model import Meadow
    wardian.pack(Meadow().eval(), sys.argv[1], inputs={"x": torch.ones(1, 2)}, metadata={"b": "1", "a": "2"})
"""


def test_packs_are_equal_byte_for_byte_whatever_the_process(tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", PROJECT)
    running = []
    for seed, name in (("1", "meadow.case"), ("2024", "another name.bin")):
        folder = tmp_path / f"folder{seed}"
        folder.mkdir()
        running.append(
            start_python(PACKER, folder / name, folder=folder, paths=(project,), PYTHONHASHSEED=seed)
        )
    for process in running:
        finish(process)
    one, other = (tmp_path / "folder1" / "meadow.case", tmp_path / "folder2024" / "another name.bin")
    assert one.read_bytes() == other.read_bytes()


LIBRARY = """
--- hedge/__init__.py
__version__ = "{version}"
--- hedge/model.py
import torch
import hedge

class Hedge(torch.nn.Module):
    def forward(self, x):
        from hedge import model
        assert model.Hedge is type(self)
        return x * {factor}, hedge.__version__
"""

LIBRARY_PACKER = """
    import sys, torch, wardian
    from hedge.model import Hedge
    wardian.pack(Hedge(), sys.argv[1], inputs=(torch.ones(1),), prove=False)
"""

BOTH = """
    import json, pickle, sys, torch, wardian
    old, new = wardian.load(sys.argv[1]), wardian.load(sys.argv[2])
    import hedge.model
    x = torch.ones(1)
    models = [old, new, hedge.model.Hedge(), pickle.loads(pickle.dumps(old)), pickle.loads(pickle.dumps(new))]
    print(json.dumps([[float(y), version] for y, version in (model(x) for model in models)]))
    print(isinstance(old, type(new)), isinstance(old, hedge.model.Hedge))
"""


def test_two_cases_and_an_installed_library_do_not_meet(tmp_path: Path) -> None:
    running = []
    for version, factor in (("1", 10), ("2", 20), ("3", 30)):
        site = write_tree(tmp_path / version, LIBRARY.format(version=version, factor=factor))
        if version != "3":
            target = tmp_path / f"hedge{version}.case"
            running.append(start_python(LIBRARY_PACKER, target, folder=tmp_path, paths=(site,)))
    for process in running:
        finish(process)
    cases = [tmp_path / "hedge1.case", tmp_path / "hedge2.case"]
    printed = run_python(BOTH, *cases, folder=tmp_path, paths=(tmp_path / "3",)).splitlines()
    assert json.loads(printed[0]) == [[10.0, "1"], [20.0, "2"], [30.0, "3"], [10.0, "1"], [20.0, "2"]]
    assert printed[1] == "False False"
