"""Modules of an importer that nobody closes go when neither it nor anything that came from it is there."""

from __future__ import annotations

from pathlib import Path

from tests.support import importable, run_python, write_tree
from wardian.package import PackageExporter

LIBRARY = """
--- garden/__init__.py
import logging
log = logging.getLogger(__name__)

--- garden/beds.py
import dataclasses, enum, functools, torch
import garden

class Bed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.soil = torch.nn.Linear(2, 2)

    def forward(self, x):
        from garden import water
        return water.pour(self.soil(x))

    def rest(self):
        return super().eval()

class Season(enum.Enum):
    SPRING = 1

@dataclasses.dataclass
class Label:
    text: str = "leek"

@functools.lru_cache
def remembered(x):
    return Label(x)

def rows():
    yield 1
    yield 2

REGISTRY = {"bed": Bed, "label": remembered("kale")}

--- garden/water.py
def pour(x):
    return x * 2

--- garden/ops.py
import torch
library = torch.library.Library("garden_of_tests", "DEF")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: x * 2, "CPU")

def twice(x):
    return torch.ops.garden_of_tests.twice(x)
"""

LOOK = """
import gc, pickle, sys, threading, weakref, torch
from wardian.package import PackageImporter

def modules():
    return [name for name in sys.modules if name.startswith("wardian.live.garden_")]

def opened():
    importer = PackageImporter("garden.pt")
    bed = importer.load_pickle("models", "bed.pkl")
    bed(torch.ones(2))
    return importer, bed

def expect(there, what):
    gc.collect()
    assert bool(modules()) is there, (what, modules())

importer, bed = opened()
expect(True, "both")
del bed
expect(True, "the importer")
del importer
expect(False, "nothing")
assert not gc.callbacks

kinds = {
    "the object": lambda importer, bed: bed,
    "a bound method": lambda importer, bed: bed.rest,
    "a class": lambda importer, bed: type(bed),
    "a function": lambda importer, bed: type(bed).rest,
    "a member": lambda importer, bed: importer.import_module("garden.beds").Season.SPRING,
    "a module": lambda importer, bed: importer.import_module("garden.beds"),
    "an object": lambda importer, bed: importer.import_module("garden.beds").REGISTRY["label"],
    "a generator": lambda importer, bed: importer.import_module("garden.beds").rows(),
    "a subclass": lambda importer, bed: type("Mine", (type(bed),), {}),
    "what holds it": lambda importer, bed: torch.nn.Sequential(bed),
    "a closure": lambda importer, bed: lambda: bed,
    "a function that calls an operator": lambda importer, bed: importer.import_module("garden.ops").twice,
}
for what, take in kinds.items():
    held = take(*opened())
    for _ in range(3):  # which changes nothing
        expect(True, what)
    del held
    gc.collect()  # a class is part of a cycle
    expect(False, what)

importer, bed = opened()
bed.cycle = [bed]
dead = weakref.ref(type(bed))
del importer
expect(True, "an object in a cycle")
assert torch.equal(bed(torch.ones(2)), bed.soil(torch.ones(2)) * 2)
assert type(pickle.loads(pickle.dumps(bed))) is type(bed)
del bed
gc.collect()
expect(False, "an object in a cycle")
gc.collect()
assert dead() is None

go_on = threading.Event()
def run(rest):
    go_on.wait()
    rest()
thread = threading.Thread(target=run, args=(opened()[1].rest,))
thread.start()
expect(True, "a thread that has it")
go_on.set()
thread.join()
del thread
expect(False, "a thread that had it")

first, second = opened(), opened()
del first
expect(True, "one of two")
assert len({name.split(".")[2] for name in modules()}) == 1
second[0].close()
expect(False, "what was closed")
assert not gc.callbacks
print("done")
"""


def test_modules_live_as_long_as_something_of_them(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, LIBRARY)) as load:
        bed = load("garden.beds").Bed()
        load("garden.ops")
        with PackageExporter(tmp_path / "garden.pt") as exporter:
            exporter.intern("**")
            exporter.save_module("garden.ops")
            exporter.save_pickle("models", "bed.pkl", bed)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "garden.pt").rename(tmp_path / "elsewhere" / "garden.pt")
    assert run_python(LOOK, folder=tmp_path / "elsewhere").strip() == "done"
