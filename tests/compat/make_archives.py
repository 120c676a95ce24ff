"""Write one archive with torch.package, whichever torch runs this; tests/compat/archives holds what it made.

    python tests/compat/make_archives.py tests/compat/archives

Run once for each release, in an environment of its own (torch 1.9 to 1.12 need Python 3.9). The values that
tests/compat/test_archives.py expects are written here.
"""

import os
import pickle
import sys
import tempfile
import warnings

import torch
import torch.fx
from torch.package import PackageExporter

SOURCES = {
    "meadow/__init__.py": "import meadow.soil\nresult = 'meadow'\n",
    "meadow/soil.py": "import scarecrow\nrichness = 3\n",
    "meadow/flowers.py": """\
import collections
import torch
from meadow.soil import richness

Petal = collections.namedtuple("Petal", ["colour", "count"])


class Flower(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
            self.linear.bias.fill_(0.5)
        self.register_buffer("steps", torch.tensor([7]))

    def forward(self, x):
        return self.linear(x) + 3.0


class Garden:
    def __init__(self, flowers, petals):
        self.flowers = flowers
        self.petals = petals


def water(x):
    return x * richness
""",
    "scarecrow.py": "colour = 'straw'\n",
}
ASKS = """\
import torch_package_importer
text = torch_package_importer.load_text("texts", "note.txt")
packaged = "__torch_package__" in dir()
"""


def main(folder):
    with tempfile.TemporaryDirectory() as library:
        for name, source in SOURCES.items():
            path = os.path.join(library, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(source)
        sys.path.insert(0, library)
        warnings.simplefilter("ignore")
        write(os.path.join(folder, "torch-" + torch.__version__.split("+")[0] + ".pt"))


def write(path):
    import meadow.flowers

    exporter = getattr(torch.package, "package_exporter", None)
    if hasattr(exporter, "_gate_torchscript_serialization"):
        exporter._gate_torchscript_serialization = False
    flower = meadow.flowers.Flower()
    base = torch.arange(6, dtype=torch.float32)
    shared = [base, base[2:4], base.view(2, 3).t()]
    others = {
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "bfloat16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "long": torch.tensor([[1], [2]]),
        "bool": torch.tensor([True, False]),
        "complex": torch.tensor([1 + 2j]),
        "empty": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.tensor([9.0])),
        "sparse": torch.eye(2).to_sparse(),
        "dtype": torch.float64,
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
    }
    with PackageExporter(path) as e:
        e.mock("scarecrow")
        if hasattr(e, "intern"):  # torch 1.8 interned everything
            e.intern("**")
        petals = meadow.flowers.Petal("red", 5)
        e.save_pickle("garden", "garden.pkl", meadow.flowers.Garden([flower, flower], petals))
        e.save_pickle("garden", "tensors.pkl", {"shared": shared, "others": others})
        e.save_pickle("garden", "function.pkl", meadow.flowers.water)
        e.save_pickle("garden", "traced.pkl", torch.fx.symbolic_trace(flower))
        if exporter is not None:  # torch 1.8 could not save it
            scripted = torch.jit.script(flower)
            e.save_pickle("garden", "scripted.pkl", {"scripted": scripted, "eager": flower})
        e.save_module("meadow")
        e.save_source_string("asks", ASKS)
        e.save_text("texts", "note.txt", "h\u00e9llo from torch " + torch.__version__.split("+")[0])
        e.save_binary("texts", "raw.bin", bytes(range(256)))
    print(path, os.path.getsize(path), pickle.format_version)


if __name__ == "__main__":
    main(sys.argv[1])
