"""What packed code imports and never uses need not be there; what it uses must, and the error says what."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import importable, run_python, write_tree
from wardian.errors import MissingExternError

# Pillow, numpy, safetensors and PyYAML have compiled modules, so they stay outside.
PROJECT = """
--- arboretum/__init__.py
--- arboretum/mentions.py
from __future__ import annotations
import abc
import functools
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import numpy.linalg as linalg
import PIL.Image
import safetensors.torch
import yaml
from PIL import Image, ImageOps
from PIL.Image import Image as PilImage

try:
    import yaml as optional
    HAS_YAML = True
except ImportError:
    HAS_YAML = False

FILTERS = {"nearest": Image.NEAREST, Image.BICUBIC: "bicubic"}
Picture = Union[Image.Image, torch.Tensor] if (torch := __import__("torch")) else None
Alias = Optional[np.ndarray] | list[PilImage]

class Kept(np.ndarray):
    pass

class Loader(yaml.SafeLoader, abc.ABC):
    @abc.abstractmethod
    def load(self): ...

@dataclass
class Options:
    fill: np.float32 | None = None
    image: "Optional[Image.Image]" = None

def resize(image: PIL.Image.Image, size: np.ndarray = None, how=Image.BILINEAR) -> np.ndarray[np.float32]:
    return ImageOps.fit(image, size, how)

@functools.singledispatch
def describe(x):
    return "something"

@describe.register(np.ndarray)
def _(x):
    return "an array"

def is_image(x):
    return isinstance(x, (Image.Image, np.ndarray)) or issubclass(type(x), PilImage)

--- arboretum/model.py
import torch
from arboretum import mentions

class Tree(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.options = mentions.Options()

    def forward(self, x):
        if mentions.is_image(x):
            raise TypeError
        return x + len(mentions.describe(x))

    def picture(self):
        return mentions.resize(None, None)

    def sum_with_numpy(self):
        import numpy
        return numpy.float32(1)

class Measured(Tree):
    def forward(self, x):
        return x + float(mentions.np.sqrt(mentions.np.float64(4.0)))
"""

CHILD = """
import importlib.abc, json, sys

class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("numpy", "PIL", "safetensors", "yaml"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Forbid())
import warnings
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
import torch, wardian
from wardian.errors import MissingExternError

model = wardian.load(sys.argv[1])
answers = {"result": model(torch.zeros(2)).tolist()}
mentions = sys.modules[type(model).__module__.replace(".model", ".mentions")]
answers["guarded"] = mentions.HAS_YAML
answers["version"] = mentions.np.__version__
answers["same"] = mentions.FILTERS["nearest"] is mentions.Image.NEAREST
answers["repr"] = repr(mentions.np.ndarray)
answers["elsewhere"] = "numpy" in sys.modules
for name, use in {
    "call": model.picture,
    "function": model.sum_with_numpy,
    "truth": lambda: bool(mentions.np.nan),
    "arithmetic": lambda: 1 + mentions.np.pi,
    "derived": lambda: mentions.Kept(3),
    "loop": lambda: list(mentions.FILTERS["nearest"]),
}.items():
    try:
        use()
    except MissingExternError as error:
        answers[name] = [error.name, error.distribution, str(error).splitlines()[-1].strip()]
try:
    mentions.np.ndarray.__array_priority__
except AttributeError:
    answers["private"] = True
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], wardian.PackReport]:
    folder = tmp_path_factory.mktemp("arboretum")
    with importable(write_tree(folder, PROJECT)) as load:
        model = load("arboretum.model").Tree()
        report = wardian.pack(model, folder / "tree.case", inputs=(torch.zeros(2),))
    away = tmp_path_factory.mktemp("away")
    return json.loads(run_python(CHILD, report.path, folder=away, isolated=True).splitlines()[-1]), report


def test_what_only_mentions_an_extern_runs_without_it(answers: tuple[dict[str, Any], Any]) -> None:
    assert answers[0]["result"] == [9.0, 9.0]
    assert answers[0]["same"] is True
    assert answers[0]["private"] is True
    assert answers[0]["repr"] == "<numpy.ndarray, which is not installed>"


def test_a_guarded_import_fails_as_it_would_anywhere(answers: tuple[dict[str, Any], Any]) -> None:
    assert answers[0]["guarded"] is False


def test_a_stand_in_is_seen_by_packed_code_alone(answers: tuple[dict[str, Any], Any]) -> None:
    assert answers[0]["elsewhere"] is False


@pytest.mark.parametrize(
    ("use", "name", "distribution"),
    [
        ("call", "PIL", "pillow"),
        ("function", "numpy", "numpy"),
        ("truth", "numpy", "numpy"),
        ("arithmetic", "numpy", "numpy"),
        ("derived", "numpy", "numpy"),
        ("loop", "PIL", "pillow"),
    ],
)
def test_using_one_says_what_to_install(
    use: str, name: str, distribution: str, answers: tuple[dict[str, Any], wardian.PackReport]
) -> None:
    externs = {extern.distribution: extern for extern in answers[1].manifest.externs}
    command = f"fix: pip install {distribution}=={externs[distribution].version}"
    assert answers[0][use] == [name, distribution, command]


def test_the_manifest_says_which_are_soft(answers: tuple[dict[str, Any], wardian.PackReport]) -> None:
    soft = {extern.distribution: extern.soft for extern in answers[1].manifest.externs}
    assert soft == {"numpy": True, "pillow": True, "pyyaml": True, "safetensors": True, "torch": False}
    numpy = next(extern for extern in answers[1].manifest.externs if extern.distribution == "numpy")
    assert answers[0]["version"] == numpy.version


def test_an_extern_that_the_run_uses_is_needed(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as load:
        model = load("arboretum.model").Measured()
        report = wardian.pack(model, tmp_path / "tree.case", inputs=(torch.zeros(2),))
    soft = {extern.distribution: extern.soft for extern in report.manifest.externs}
    assert soft == {"numpy": False, "pillow": True, "pyyaml": True, "safetensors": True, "torch": False}
    assert report.manifest.proof == "passed"


def test_what_pytorch_needs_for_a_call_is_seen_in_the_run(tmp_path: Path) -> None:
    tree = """
    --- arboretum/__init__.py
    --- arboretum/late.py
    import torch

    class Tree(torch.nn.Module):
        def forward(self, x):
            return x[x.abs().topk(1)[1].numpy().tolist()]  # nothing imports numpy
    """
    stages: list[str] = []
    with importable(write_tree(tmp_path, tree)) as load:
        model = load("arboretum.late").Tree()
        report = wardian.pack(model, tmp_path / "tree.case", inputs=(torch.ones(2),), progress=stages.append)
    assert {extern.distribution: extern.soft for extern in report.manifest.externs} == {
        "numpy": False,
        "torch": False,
    }
    assert stages.count("prove") == 1


def test_nothing_is_soft_without_a_proof(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as load:
        model = load("arboretum.model").Tree()
        report = wardian.pack(model, tmp_path / "tree.case", inputs=(torch.zeros(2),), prove=False)
    assert not any(extern.soft for extern in report.manifest.externs)


def test_the_error_is_picklable_and_an_import_error() -> None:
    error = MissingExternError("x", name="numpy", distribution="numpy", version="2.0")
    again = pickle.loads(pickle.dumps(error))
    assert (again.name, again.distribution, again.version) == ("numpy", "numpy", "2.0")
    assert isinstance(again, ModuleNotFoundError)


def test_a_submodule_that_only_this_process_has_imported_makes_no_extern_needed(tmp_path: Path) -> None:
    import numpy.ma  # noqa: F401

    source = """
--- glade.py
import numpy
import torch

class Glade(torch.nn.Module):
    def forward(self, x):
        return x

    def masked(self, x):
        return numpy.ma.array(x)
"""
    with importable(write_tree(tmp_path / "project", source)) as load:
        report = wardian.pack(load("glade").Glade(), tmp_path / "glade.case", inputs=(torch.zeros(2),))
    assert [extern.soft for extern in report.manifest.externs if extern.distribution == "numpy"] == [True]
