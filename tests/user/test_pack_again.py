"""Load, pack, load, pack, onto the path that it was loaded from: the file stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import run_python

_PACK = """
import pathlib, subprocess, sys
pathlib.Path("train.py").write_text('''
import torch, wardian
from torch import fx, nn

@fx.wrap
def double(x):
    return x * FACTOR

FACTOR = 2

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.hooks = nn.Linear(2, 2), [lambda x: x + FACTOR]
        self.count, self.parts = 0, {}

    def __setstate__(self, state):
        self.parts = {}
        super().__setstate__(state)

    def forward(self, x):
        return double(self.inner(x)) + 1

net = Net()
net.graph = fx.symbolic_trace(net)
net.graph.meta["note"] = ["kept"]
wardian.pack(net, "net.case", prove=False)
''')
subprocess.run([sys.executable, "train.py"], check=True)
pathlib.Path("train.py").unlink()
"""

_AGAIN = """
import pathlib, torch, wardian
path = pathlib.Path("net.case")
before = path.read_bytes()
net = wardian.load(path)
x = torch.ones(1, 2)
assert torch.equal(net(x), net.graph(x)) and net.graph.meta == {"note": ["kept"]}
assert [name for name in vars(net) if not name.startswith("_")] == ["training", "hooks", "count", "parts"]
wardian.pack(net, path, prove=False)
print(path.read_bytes() == before)
"""


@pytest.mark.slow
def test_three_rounds_onto_its_own_path(tmp_path: Path) -> None:
    run_python(_PACK, folder=tmp_path)
    for _ in range(3):
        assert run_python(_AGAIN, folder=tmp_path).strip() == "True"
