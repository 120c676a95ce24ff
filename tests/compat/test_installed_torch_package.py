"""Files pass between wardian.package and the torch.package that is installed, in both directions."""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
import wardian.package as drop_in
from wardian.errors import EntryNotFoundError

stock: Any = importlib.import_module("torch.package")

# What torch.package itself warns of, not what Wardian does.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

SOURCES = {
    "orchard/__init__.py": "",
    "orchard/trees.py": """\
import math
import torch
from orchard import soil


class Tree(torch.nn.Module):
    class Ring:
        def __init__(self, year):
            self.year = year

    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)

    def forward(self, x):
        return self.linear(x) * math.pi


def grow(x, y):
    return x + soil.richness * y
""",
    "orchard/soil.py": "import tarpaulin\nrichness = 3\n",
    "tarpaulin.py": "colour = 'green'\n",
}


@pytest.fixture(autouse=True)
def library(tmp_path: Path) -> Iterator[Path]:
    for name, source in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [n for n in sys.modules if n.partition(".")[0] in ("orchard", "tarpaulin")]:
        del sys.modules[name]


def make(package: Any, trees: Any, *, scripts: bool = True) -> tuple[BytesIO, Any]:
    tree = trees.Tree(3)
    traced = torch.fx.symbolic_trace(tree)
    rings = [trees.Tree.Ring(1), trees.Tree.Ring(2)]
    model = {"tree": tree, "grow": trees.grow, "weight": tree.linear.weight, "rings": rings}
    buffer = BytesIO()
    with package.PackageExporter(buffer) as e:
        e.extern("numpy.**")
        e.mock("tarpaulin")
        e.intern("**")
        e.save_pickle("model", "model.pkl", model)
        e.save_pickle("model", "traced.pkl", traced)
        e.save_text("model", "notes.txt", "hello")
        e.save_binary("data", "raw.bin", b"\1\2")
        e.save_source_string("made", "import json\nvalue = json.loads('[1]')\n")
        if scripts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                e.save_pickle("model", "scripted.pkl", [torch.jit.script(tree), tree])
    buffer.seek(0)
    return buffer, tree


@pytest.fixture
def ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock.package_exporter, "_gate_torchscript_serialization", False)


def check(importer: Any, tree: Any) -> None:
    x = torch.rand(2, 3)
    loaded = importer.load_pickle("model", "model.pkl")
    assert torch.equal(loaded["tree"](x), tree(x))
    assert [ring.year for ring in loaded["rings"]] == [1, 2]
    assert loaded["weight"] is loaded["tree"].linear.weight
    assert loaded["grow"](1, 2) == 7
    assert type(loaded["tree"]) is not type(tree)
    assert torch.equal(importer.load_pickle("model", "traced.pkl")(x), tree(x))
    assert importer.load_text("model", "notes.txt") == "hello"
    assert importer.load_binary("data", "raw.bin") == b"\1\2"
    assert importer.import_module("made").value == [1]
    scripted, eager = importer.load_pickle("model", "scripted.pkl")
    assert torch.equal(scripted(x), tree(x))
    assert scripted.linear.weight.data_ptr() == eager.linear.weight.data_ptr()
    with pytest.raises(NotImplementedError, match="mocked"):
        importer.import_module("orchard.soil").tarpaulin.colour()


@pytest.mark.usefixtures("ungated")
def test_what_torch_package_writes_is_read() -> None:
    buffer, tree = make(stock, importlib.import_module("orchard.trees"))
    check(drop_in.PackageImporter(buffer), tree)


def test_what_wardian_writes_torch_package_reads() -> None:
    buffer, tree = make(drop_in, importlib.import_module("orchard.trees"))
    check(stock.PackageImporter(buffer), tree)


def test_what_torch_package_writes_becomes_a_case_and_is_read_by_torch_package_again() -> None:
    buffer, tree = make(stock, importlib.import_module("orchard.trees"), scripts=False)
    first = drop_in.PackageImporter(buffer)
    again = BytesIO()
    with drop_in.PackageExporter(again, importer=(first, drop_in.sys_importer)) as e:
        e.intern("**")
        e.save_pickle("model", "model.pkl", first.load_pickle("model", "model.pkl"))
    again.seek(0)
    x = torch.rand(2, 3)
    for importer in (stock.PackageImporter(again), drop_in.PackageImporter(again)):
        assert torch.equal(importer.load_pickle("model", "model.pkl")["tree"](x), tree(x))
        with pytest.raises(NotImplementedError):
            importer.import_module("orchard.soil").tarpaulin.colour()


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("package", [stock, drop_in])
def test_the_case_view_of_a_package(package: Any, tmp_path: Path) -> None:
    buffer, tree = make(package, importlib.import_module("orchard.trees"))
    path = tmp_path / "orchard.pt"
    path.write_bytes(buffer.getvalue())
    x = torch.rand(2, 3)
    with wardian.open(path) as case:
        names = {entry.name for entry in case.manifest.entries}
        assert names == {"model/model.pkl", "model/scripted.pkl", "model/traced.pkl"}
        with pytest.raises(EntryNotFoundError):
            case.load()
        loaded = case.load("model/model.pkl")
        assert torch.equal(loaded["tree"](x), tree(x))
        assert torch.equal(case.load("model/traced.pkl")(x), tree(x))
        assert torch.equal(case.load("model/scripted.pkl")[0](x), tree(x))
        assert case.import_module("made").value == [1]
        assert case.read("model/notes.txt") == b"hello"
        assert pickle.loads(pickle.dumps(loaded))["rings"][0].year == 1


@pytest.mark.usefixtures("ungated")
def test_an_archive_that_was_zipped_anew_is_read(tmp_path: Path) -> None:
    buffer, tree = make(stock, importlib.import_module("orchard.trees"), scripts=False)
    path = tmp_path / "orchard.zip"
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content + b"\nedited = 1\n" if name.endswith("soil.py") else content)
    i = drop_in.PackageImporter(path)
    x = torch.rand(2, 3)
    assert torch.equal(i.load_pickle("model", "model.pkl")["tree"](x), tree(x))
    assert i.import_module("orchard.soil").edited == 1


def test_the_names_and_arguments_are_those_of_torch_package() -> None:
    import inspect

    # The constructor's own additions aside, whoever calls torch.package calls this.
    for name in (
        "PackageExporter",
        "PackageImporter",
        "Importer",
        "OrderedImporter",
        "Directory",
        "GlobGroup",
    ):
        theirs, ours = getattr(stock, name), getattr(drop_in, name)
        public = [n for n, member in vars(theirs).items() if not n.startswith("_") and callable(member)]
        for method in public:
            wanted = inspect.signature(getattr(theirs, method)).parameters
            found = inspect.signature(getattr(ours, method)).parameters
            assert list(found)[: len(wanted)] == list(wanted), f"{name}.{method}"
            for key, parameter in wanted.items():
                assert found[key].kind is parameter.kind, f"{name}.{method}({key})"
                assert found[key].default == parameter.default, f"{name}.{method}({key})"
    theirs_init = inspect.signature(stock.PackageExporter).parameters
    assert list(inspect.signature(drop_in.PackageExporter).parameters) == list(theirs_init)
    assert [n for n in dir(stock) if n[0].isupper() and not hasattr(drop_in, n)] == []
    assert set(stock.analyze.__dict__) - set(drop_in.analyze.__dict__) == set()
