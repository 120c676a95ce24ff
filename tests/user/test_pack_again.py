"""Load, pack, load, pack, onto the path that it was loaded from: the file stays as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, run_python, write_tree

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


_NOTED = """
--- mill.py
import os, torch

SPEED = 2 if os.path.exists("{flag}") else 1

class Net(torch.nn.Module):
    def forward(self, x):
        return x * SPEED
"""
_PACK_TWICE = """
import importlib, pathlib, sys, torch, wardian
import mill
for _ in range(2):
    report = wardian.pack(mill.Net(), "mill.case", inputs=(torch.ones(1),))
    print(wardian.load("mill.case")(torch.ones(1)).item(), report.warnings)
    pathlib.Path(sys.argv[1]).touch()
    importlib.reload(mill)
"""


def test_what_code_has_noted_at_its_import_for_the_last_pack_is_forgotten_if_it_is_otherwise_now(
    tmp_path: Path,
) -> None:
    flag = tmp_path / "flag"
    project = write_tree(tmp_path / "project", _NOTED.format(flag=flag))
    printed = run_python(_PACK_TWICE, flag, folder=tmp_path, paths=(project,))
    assert printed == "1.0 ()\n2.0 ()\n"


_DEEP = """
--- well.py
import torch

def depth(n):
    return 1 + depth(n - 1) if n else 0

class Net(torch.nn.Module):
    def forward(self, x):
        return x * depth(2_000)
"""
_PACK_DEEP = """
import sys, torch, warnings, wardian
from well import Net
sys.setrecursionlimit(5_000)
for _ in range(2):
    with warnings.catch_warnings(record=True) as told:
        wardian.pack(Net(), "well.case", inputs=(torch.ones(1),))
    print(*(warning.message for warning in told))
sys.setrecursionlimit(1_000)
try:
    wardian.load("well.case")(torch.ones(1))
except RecursionError:
    print("too deep")
"""


def test_a_limit_of_this_process_that_is_needed_is_told(tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", _DEEP)
    one, two, loaded = run_python(_PACK_DEEP, folder=tmp_path, paths=(project,)).splitlines()
    assert one == two
    assert one.endswith("Call sys.setrecursionlimit(5000) before it is loaded and called")
    assert loaded == "too deep"


SHARING = """
--- grove/alder/__init__.py
class Leaf:
    pass
--- grove/birch/__init__.py
class Leaf:
    pass
--- grove_alder-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: grove-alder
Version: 1.0
--- grove_alder-1.0.dist-info/RECORD
grove/alder/__init__.py,,
grove_alder-1.0.dist-info/METADATA,,
--- grove_birch-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: grove-birch
Version: 1.0
--- grove_birch-1.0.dist-info/RECORD
grove/birch/__init__.py,,
grove_birch-1.0.dist-info/METADATA,,
"""


def test_two_distributions_that_share_a_name_can_be_packed_again(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path / "site", SHARING)) as load:
        trees = [load("grove.alder").Leaf(), load("grove.birch").Leaf(), torch.ones(1)]
        first = wardian.pack(trees, tmp_path / "grove.case", prove=False)
    again = wardian.pack(wardian.load(tmp_path / "grove.case"), tmp_path / "again.case")
    assert again.manifest.distributions == first.manifest.distributions


_DISTRIBUTION = """
--- shop-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: shop
Version: 1.0
--- shop-1.0.dist-info/RECORD
shop/__init__.py,,
shop-1.0.dist-info/METADATA,,
"""

SHOP = """
--- shop/__init__.py
import os
open(os.path.join(os.environ["OPENED"], str(os.getpid())), "w").close()
price = 2
--- project/cart.py
import shop
import torch

class Cart(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) * shop.price
"""

_EPOCHS = """
import os, shop, torch, wardian
from cart import Cart

cart, policy = Cart(2, 1), wardian.Policy(extern=["shop.**"])

def pack():
    with torch.no_grad():
        cart.weight += 1
    before = len(os.listdir(os.environ["OPENED"]))
    wardian.pack(cart, "epoch.case", inputs=(torch.ones(1, 2),), policy=policy)
    return len(os.listdir(os.environ["OPENED"])) - before

print(pack(), pack(), pack())
with open(shop.__file__, "a") as source:
    source.write("price = 2  # as before\\n")
print(pack())
cart.discount = 1
print(pack())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")
def test_the_proofs_of_checkpoints_import_what_stays_outside_once(tmp_path: Path) -> None:
    folder = write_tree(tmp_path, SHOP + _DISTRIBUTION)
    (opened := tmp_path / "opened").mkdir()
    told = run_python(_EPOCHS, folder=folder, paths=(folder, folder / "project"), OPENED=str(opened))
    # The run that is watched, and the proof; then a template for the proofs that follow. Where a file has
    # changed, or the code is another one, both import anew.
    assert told.splitlines() == ["2 1 0", "2", "2"]


_PREPARING = """
--- shop/__init__.py
import subprocess, torch
prices = torch.ones(1)
try:
    subprocess.run(["true"])
except PermissionError:
    pass
--- project/cart.py
import torch
torch.set_default_dtype(torch.float64)
import shop
torch.set_default_dtype(torch.float32)

class Cart(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) * shop.prices
"""

_EPOCHS_OF_PREPARING = """
import torch, wardian
from cart import Cart

cart, policy = Cart(2, 1), wardian.Policy(extern=["shop.**"])
for allow in ((), (), (), ("processes",), ("processes",), (), ()):
    inputs = (torch.ones(1, 2),)
    report = wardian.pack(cart, "epoch.case", inputs=inputs, policy=policy, allow=allow)
    hard = [extern.distribution for extern in report.manifest.externs if not extern.soft]
    print(hard, len(report.attempts), any("start" in warning for warning in report.warnings))
"""


def test_code_that_prepares_for_what_it_imports_is_proven_alike_each_time(tmp_path: Path) -> None:
    folder = write_tree(tmp_path, _PREPARING + _DISTRIBUTION)
    told = run_python(
        _EPOCHS_OF_PREPARING, folder=folder, paths=(folder, folder / "project"), PYTHONWARNINGS="ignore"
    )
    may_not, may = ("['shop', 'torch'] 1 True", "['shop', 'torch'] 1 False")
    assert told.splitlines() == [may_not] * 3 + [may] * 2 + [may_not] * 2


_LEAVING = """
--- cart.py
import colorsys, os
import torch

STATE = os.path.join(os.path.dirname(__file__), "state.bin")

class Cart(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 1)
        self.register_buffer("looks", torch.zeros(()))

    def forward(self, x):
        if __name__ != "cart":  # where it runs from a case
            if not self.looks.item():
                open(STATE, "w").close()
            elif not os.path.exists(STATE):
                raise RuntimeError("nothing was left beside me")
        return super().forward(x)
"""

_PACK_LEAVING = """
import tempfile, torch, wardian
from cart import Cart

def pack(looks):
    cart = Cart()
    cart.looks.fill_(looks)
    try:
        wardian.pack(cart, "epoch.case", inputs=(torch.ones(1, 2),))
    except wardian.ProofError as error:
        return "nothing was left beside me" in str(error)

print(pack(1), pack(0), pack(0), pack(1), pack(0))
"""


def test_what_code_leaves_beside_itself_in_a_proof_is_gone_in_the_next_one(tmp_path: Path) -> None:
    folder = write_tree(tmp_path, _LEAVING)
    told = run_python(_PACK_LEAVING, folder=folder, paths=(folder,), PYTHONWARNINGS="ignore")
    assert told.split() == ["True", "None", "None", "True", "None"]


_PACK_OPERATORS = """
import timm, torch, wardian
from wardian.processes.clean import CleanProcesses

proofs = []
run = CleanProcesses.run

def noting(self, work, *more, **named):
    if work.endswith("prove_in_child"):
        proofs.append(work)
    return run(self, work, *more, **named)

CleanProcesses.run = noting
model = timm.create_model("resnet18").eval()
for _ in range(2):
    wardian.pack(model, "epoch.case", inputs=(torch.zeros(1, 3, 32, 32),))
print(len(proofs))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")
def test_a_later_proof_of_a_library_with_operators_passes_with_the_files_of_the_first(tmp_path: Path) -> None:
    told = run_python(_PACK_OPERATORS, folder=tmp_path, PYTHONWARNINGS="ignore")
    assert told.split() == ["2"]  # one that fails there is made anew, and counts as a third
