"""Cases are opened and closed for ever, by one thread or by many."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python, write_tree

_TREE = """
--- {name}/__init__.py
--- {name}/parts.py
FACTOR = {factor}
--- {name}/net.py
import torch
from {name} import parts

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((100_000,), float(parts.FACTOR)))

    def forward(self, x):
        from {name}.parts import FACTOR
        return self.weight[0] * FACTOR + x
"""

_PACK = """
import sys, torch, wardian
from {name}.net import Net
wardian.pack(Net(), "{name}.case", inputs=(torch.ones(1),), prove=False)
"""

_REPEAT = """
import gc, sys, torch, wardian

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

def once():
    with wardian.open("pine.case") as case:
        model = case.load()
        assert model(torch.zeros(1)).item() == 9
        model.weight.data.add_(1)
    assert not [name for name in sys.modules if name.startswith("wardian.live.pine")]

for _ in range(30):
    once()
gc.collect()
modules, paths, memory = set(sys.modules), list(sys.path_importer_cache), resident()
for _ in range(300):
    once()
gc.collect()
assert set(sys.modules) == modules
assert len(sys.path_importer_cache) <= len(paths)
print(resident() - memory)
"""

_PACK_WITHOUT_COLLECTOR = """
import gc, weakref, torch, wardian
from torch.multiprocessing.reductions import StorageWeakRef

class Twice(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
    def forward(self, x):
        return 2 * self.inner(x)

def pack(obj, **arguments):
    weights = obj["weights"] if isinstance(obj, dict) else next(obj.parameters())
    owner = weakref.ref(obj if len(arguments) > 1 else weights)
    memory = StorageWeakRef(weights.untyped_storage())
    del weights
    report = wardian.pack(obj, "packed.case", **arguments)
    del obj
    return owner() is None and memory.expired() and len(report.manifest.tensors) > 0

gc.disable()
inputs = (torch.ones(2),)
assert pack({"weights": torch.ones(3)}, prove=False)
assert pack(torch.nn.Linear(2, 2), prove=False)
assert pack(Twice(), inputs=inputs, prove=False)
assert pack(Twice(), inputs=inputs, prove=True)
"""

_LOAD_WITHOUT_COLLECTOR = """
import gc, weakref, torch, wardian
from torch.multiprocessing.reductions import StorageWeakRef

wardian.pack({"module": torch.nn.Linear(2, 2)}, "packed.case", prove=False)
gc.disable()

def is_gone(load):
    module = load()
    owner, memory = weakref.ref(module), StorageWeakRef(module.weight.untyped_storage())
    del module
    return owner() is None and memory.expired()

assert is_gone(lambda: wardian.load("packed.case")["module"])
with wardian.open("packed.case") as case:
    assert is_gone(lambda: case.load()["module"])
    assert is_gone(lambda: case.load(map_location="cpu")["module"])
"""

_THREADS = """
import random, sys, threading, torch, wardian

before = set(sys.modules)
problems = []
start = threading.Barrier(16)

def work(number):
    order = random.Random(number)
    try:
        start.wait()
        for _ in range(12):
            name, result = order.choice([("pine", 9.0), ("fir", 25.0)])
            with wardian.open(f"{name}.case") as case:
                net = case.import_module(f"{name}.net")
                model = case.load()
                assert isinstance(model, net.Net)
                assert model(torch.zeros(1)).item() == result
                model.weight.data.zero_()
    except BaseException as error:
        problems.append(f"{type(error).__name__}: {error}")

threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
left = set(sys.modules) - before
print(sorted(set(problems)), sorted(name for name in left if name.startswith("wardian.live.")))
"""


def _make(tmp_path: Path, name: str, factor: int) -> None:
    sources = write_tree(tmp_path / name, _TREE.format(name=name, factor=factor))
    run_python(_PACK.format(name=name), folder=tmp_path, paths=(sources,))


def test_three_hundred_times_leave_nothing_behind(tmp_path: Path) -> None:
    _make(tmp_path, "pine", 3)
    kilobytes = int(run_python(_REPEAT, folder=tmp_path).split()[-1])
    assert kilobytes < 3_000  # 0.4 MB of weights were loaded each time


def test_sixteen_threads_open_and_close_two_cases(tmp_path: Path) -> None:
    _make(tmp_path, "pine", 3)
    _make(tmp_path, "fir", 5)
    problems, _, left = run_python(_THREADS, folder=tmp_path).strip().rpartition("] [")
    assert problems == "[", problems
    assert "pine" not in left
    assert "fir" not in left


def test_loading_holds_nothing_of_what_was_loaded(tmp_path: Path) -> None:
    run_python(_LOAD_WITHOUT_COLLECTOR, folder=tmp_path)


def test_packing_holds_nothing_of_what_was_packed(tmp_path: Path) -> None:
    run_python(_PACK_WITHOUT_COLLECTOR, folder=tmp_path)
