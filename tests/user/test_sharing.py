"""`load(path, share=True)`: the installed library instead of the packed copy, where they are the same."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.support import run_python

_LIBRARY = """
from torch import nn

class Fern(nn.Linear):
    def forward(self, x):
        return super().forward(x) * {factor}
"""

_PACK = """
import torch, wardian
from botany.ferns import Fern
wardian.pack(Fern(2, 2), "fern.case", prove=False)
"""

_LOAD = """
import wardian
from botany.ferns import Fern
alone, shared = wardian.load("fern.case"), wardian.load("fern.case", share=True)
print(isinstance(alone, Fern), isinstance(shared, Fern), type(shared).__module__)
"""


def _botany(folder: Path, factor: int) -> None:
    package = folder / "botany"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "ferns.py").write_text(textwrap.dedent(_LIBRARY.format(factor=factor)))


def test_the_installed_library_is_used_where_it_is_the_same(tmp_path: Path) -> None:
    _botany(tmp_path, factor=2)
    run_python(_PACK, folder=tmp_path, paths=(tmp_path,))
    assert run_python(_LOAD, folder=tmp_path, paths=(tmp_path,)).split() == ["False", "True", "botany.ferns"]
    _botany(tmp_path, factor=3)
    assert run_python(_LOAD, folder=tmp_path, paths=(tmp_path,)).split()[:2] == ["False", "False"]


_REGISTERING = """
import torch
from torch.utils.data.datapipes.datapipe import IterDataPipe
from torch.utils._pytree import register_pytree_node

pieces = torch.library.Library("fernery", "DEF")
pieces.define("double(Tensor x) -> Tensor")

@torch.library.impl(pieces, "double", "CompositeExplicitAutograd")
def double(x):
    return 2 * x

@torch.utils.data.functional_datapipe("fernery_batches")
class Batches(IterDataPipe):
    pass

class Leaf:
    pass

name = {"serialized_type_name": "fernery.Leaf"}
register_pytree_node(Leaf, lambda leaf: ([], None), lambda parts, context: Leaf(), **name)

class Fern(torch.nn.Linear):
    def forward(self, x):
        return torch.ops.fernery.double(super().forward(x))
"""

_IN_TURN = """
import importlib, pickle, sys, torch, wardian
class Around:  # as those who watch imports put it there
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
def load(how):
    if how == "installed":
        sys.meta_path[:] = map(Around, sys.meta_path)
        from botany.ferns import Fern
        ferns = sys.modules["botany.ferns"]
        assert type(ferns.__loader__) is type(ferns.__spec__.loader) is type(pickle.__loader__)
        fern = Fern(2, 2)
        fern.load_state_dict(wardian.open("fern.case").state_dict())
        return fern
    if how == "closed":
        with wardian.open("fern.case") as case:
            return case.load()
    return wardian.load("fern.case", share=how == "shared")
models = [load(how) for how in sys.argv[1:]]
print(*(type(model).__module__.split(".")[0] for model in models))
x = torch.ones(2, 2)
assert torch.equal(models[0](x), models[1](x))
"""


@pytest.mark.parametrize(
    "order",
    [
        ("alone", "shared"),
        ("shared", "alone"),
        ("alone", "installed"),
        ("closed", "installed"),
        ("installed", "alone"),
    ],
    ids=" ".join,
)
def test_the_installed_copy_may_register_what_the_packed_one_has_registered(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    _botany(tmp_path, factor=2)
    (tmp_path / "botany" / "ferns.py").write_text(_REGISTERING)
    run_python(_PACK, folder=tmp_path, paths=(tmp_path,))
    names = {"alone": "wardian", "closed": "wardian", "shared": "botany", "installed": "botany"}
    printed = run_python(_IN_TURN, *order, folder=tmp_path, paths=(tmp_path,))
    assert printed.split() == [names[how] for how in order]


_PACK_RESNET = """
import torch, wardian
from torchvision.models import resnet18
torch.manual_seed(0)
wardian.pack(resnet18(weights=None).eval(), "fern.case", prove=False)
"""


@pytest.mark.slow
def test_the_installed_library_of_operators_is_used_after_the_packed_one(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    run_python(_PACK_RESNET, folder=tmp_path)
    turns = _IN_TURN.replace("torch.ones(2, 2)", "torch.ones(1, 3, 32, 32)")
    for _ in range(2):  # with an empty cache folder, and with one that has the packed build
        assert run_python(turns, "alone", "shared", folder=tmp_path).split() == ["wardian", "torchvision"]
