"""A loaded object is packed again byte for byte: `pack(load(pack(x))) == pack(x)`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import wardian
from tests.support import write_tree

_TREE = """
--- heath/__init__.py
import dataclasses, enum, functools, typing, warnings
import torch
from torch.nn.utils import parametrizations

class Kind(enum.Enum):
    WET = "wet"
    DRY = "dry"

@dataclasses.dataclass
class Options:
    width: int = 2
    names: list = dataclasses.field(default_factory=lambda: ["a"])
    kind: Kind = Kind.WET

class Range(typing.NamedTuple):
    low: float
    high: float = 1.0

class Plain:
    def __init__(self, **parts):
        self.__dict__.update(parts)

class Slotted:
    __slots__ = ("one", "two")
    def __init__(self, one):
        self.one = one

class Restoring:
    def __init__(self):
        self.first, self.second, self.third = 1, [2], None
        self.made = 0

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "third"}

    def __setstate__(self, state):
        self.third = None
        self.second = state["second"]
        self.__dict__.update(state)

class Block(torch.nn.Module):
    def __init__(self, part=None):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
        self.part = part
        self.register_buffer("count", torch.zeros(1), persistent=False)

    def forward(self, x):
        return self.inner(x)

@torch.fx.wrap
def scale(factor, x):
    return factor * x

def make_lambda(factor):
    return lambda x: factor * x

def make_function(part):
    def local(x, *, by=part):
        return x if part is None else (x, by)
    return local

def make_local(part):
    class Local(torch.nn.Module):
        PART = part
        def forward(self, x):
            return (x, self.PART)
    return Local()

def tied():
    one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    two.weight = one.weight
    return torch.nn.Sequential(one, torch.nn.ReLU(), two)

def views():
    base = torch.arange(12.0).reshape(3, 4)
    return [base, base.t(), base[1:], base.flatten()[::3]]

def hooked():
    block = Block()
    block.register_forward_hook(lambda module, inputs, output: output * 2)
    block.register_forward_pre_hook(scale_inputs)
    return block

def scale_inputs(module, inputs):
    return inputs

def parametrized():
    return parametrizations.weight_norm(torch.nn.Linear(2, 2))

def aliases():
    one = typing.List[Block]
    two = one.copy_with(one.__args__)  # as where Python remembers no more of them
    assert one is not two
    return [one, two, {two}, {one}, typing.Dict[str, two], typing.Set[one], two]

def traced():
    class Net(torch.nn.Module):
        def forward(self, x):
            return scale(2, x) + scale(3, x).relu()
    graph = torch.fx.symbolic_trace(Net())
    graph.meta["note"] = [1]
    return graph

def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.trace(Block().eval(), torch.ones(1, 2)))
        shared = torch.nn.Linear(2, 2)
        return [frozen, torch.jit.trace(shared, torch.ones(1, 2)), shared]

def patched():
    block = Block()
    block.forward = functools.partial(scale, 3)
    return block
"""


@pytest.fixture(scope="module", autouse=True)
def heath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = write_tree(tmp_path_factory.mktemp("heath"), _TREE)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))
    del sys.modules["heath"]


def _heath() -> ModuleType:
    return importlib.import_module("heath")


# An object is drawn as its recipe, as its classes exist only when the test runs.
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sets(st.one_of(st.integers(0, 9), st.text(max_size=2)), max_size=4),
    st.sampled_from(
        [
            (name,)
            for name in (
                *("Options", "tied", "views", "hooked", "parametrized", "patched", "Block", "Kind.DRY"),
                *("Restoring", "aliases", "traced", "scripted"),
            )
        ]
    ),
    st.tuples(st.just("make_lambda"), st.integers(0, 3)),
    st.tuples(st.just("partial"), st.just("scale"), st.integers(0, 3)),
    st.tuples(st.just("tensor"), st.lists(st.integers(0, 9), max_size=3)),
    st.tuples(st.just("global"), st.sampled_from(["scale", "Block", "Range", "torch.nn.Linear", "math.sin"])),
)
_recipes = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.tuples(st.sampled_from(["Block", "Slotted", "Range", "make_function", "make_local"]), inner),
        st.tuples(st.just("twice"), inner),
        st.tuples(st.just("Plain"), inner, inner),
    ),
    max_leaves=8,
)


def _make(recipe: Any) -> Any:
    """Return the object of a recipe."""
    if isinstance(recipe, list):
        return [_make(part) for part in recipe]
    if isinstance(recipe, dict):
        return {key: _make(part) for key, part in recipe.items()}
    if not isinstance(recipe, tuple):
        return recipe
    name, *parts = recipe
    if name == "twice":
        part = _make(parts[0])
        return (part, {"again": part})
    if name == "tensor":
        return torch.tensor(parts[0])
    if name == "global":
        module, _, attribute = parts[0].rpartition(".")
        return getattr(importlib.import_module(module or "heath"), attribute)
    if name == "partial":
        return partial(getattr(_heath(), parts[0]), *parts[1:])
    if name == "Plain":
        return _heath().Plain(one=_make(parts[0]), two=_make(parts[1]))
    found: Any = _heath()
    for part in name.split("."):
        found = getattr(found, part)
    return found if "." in name else found(*map(_make, parts))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([("Range", 1.0), ("twice", ("Options",)), ("tied",), ("views",), ("hooked",), ("parametrized",)])
@example([("patched",), ("make_local", ("make_function", [1])), ("make_lambda", 2), ("partial", "scale", 3)])
@example([("Restoring",), ("aliases",), ("traced",), ("scripted",)])
@given(_recipes)
def test_packing_a_loaded_object_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, recipe: Any
) -> None:
    folder = tmp_path_factory.mktemp("again")
    first, second = (Path(folder, name, "heath.case") for name in ("one", "two"))
    for path in (first, second):
        path.parent.mkdir()
    report = wardian.pack(_make(recipe), first, prove=False)
    assert report.manifest.bytecode_only == ()
    with wardian.open(first) as case:
        wardian.pack(case.load(), second, prove=False)
    assert first.read_bytes() == second.read_bytes()
