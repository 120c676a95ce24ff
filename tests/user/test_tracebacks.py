"""Tracebacks through a case: code of the user's has its marks, code of libraries its lines."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import run_python, write_tree

_SITE = """
--- quarry/__init__.py
import torch

SIZES = [lambda x: x + 1, lambda x: x - 1]

class Stone(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.size = SIZES[1]

    def forward(self, x):
        return self.size(x) * 2

    def split(self, parts):
        whole = 1
        return whole / parts  # a line of the library

def halved(x: torch.Tensor) -> torch.Tensor:
    return x / 2
--- quarry-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: quarry
Version: 2.0
"""

_OWN = """
--- workshop.py
import torch
from quarry import Stone, halved

class Wall(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stone = Stone()

    def forward(self, x):
        return halved(self.stone(x))

    def split(self, parts):
        return 1 + self.stone.split(parts)
"""

_PACK = """
import torch, wardian
from workshop import Wall
wardian.pack(Wall(), "wall.case", inputs=(torch.ones(2),))
"""

_LOAD = """
import json, sys, traceback, torch, wardian

wall = wardian.load("wall.case")
try:
    wall.split(0)
except ZeroDivisionError as error:
    print(json.dumps(traceback.format_exception(error)))
x = torch.ones(2)
with wardian.open("wall.case") as case:
    assert case.audit().unlike == ()
wardian.pack(wall, "again.case", inputs=(x,))
print(wardian.open("wall.case").digest == wardian.open("again.case").digest)
quarry = sys.modules[type(wall.stone).__module__]
wall.stone.size = quarry.SIZES[1]
wardian.pack(wall, "other.case", inputs=(x,))
print(wardian.load("other.case")(x).tolist())
assert torch.equal(torch.compile(wall, backend="eager")(x), wall(x))
assert torch.equal(torch.jit.script(quarry.halved)(x), x / 2)
assert torch.equal(torch.fx.symbolic_trace(wall)(x), wall(x))
"""


def test_only_code_of_the_user_marks_what_failed_in_a_line(tmp_path: Path) -> None:
    site = write_tree(tmp_path / "site", _SITE)
    own = write_tree(tmp_path / "own", _OWN)
    run_python(_PACK, folder=tmp_path, paths=(site, own))
    told, is_same, answer = run_python(_LOAD, folder=tmp_path).splitlines()
    of_own, of_library = json.loads(told)[-3:-1]
    assert of_own.splitlines()[1:] == [
        "    return 1 + self.stone.split(parts)",
        "               ^^^^^^^^^^^^^^^^^^^^^^^",
    ]
    assert "workshop.py" in of_own
    assert of_library.splitlines()[1:] == ["    return whole / parts  # a line of the library"]
    assert 'quarry/__init__.py", line 15, in split' in of_library
    assert is_same == "True"
    # A lambda is found though another one is in its line.
    assert answer == "[0.0, 0.0]"
