"""A loaded module is an ordinary module: what Python and torch do with classes by name works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import answers_of, importable, run_python, write_tree

PROJECT = """
--- orchard/__init__.py
--- orchard/ops.py
def ripen(x):
    return x * 2
--- orchard/model.py
import torch

class Orchard(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.features = features
        self.trunk = torch.nn.Linear(2, 2)

    def forward(self, x):
        from orchard.ops import ripen
        import orchard.ops
        return ripen(self.trunk(x)) + orchard.ops.ripen(x)

class Fruit:
    def __init__(self, name):
        self.name = name

    def fall(self):
        raise ValueError(self.name)  # this line is in the traceback

def bite(fruit):
    return type(fruit).__name__, fruit.name

--- orchard/records.py
from __future__ import annotations
import dataclasses
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import ClassVar

@dataclass
class Apple:
    weight: float
    kinds: ClassVar[list[str]] = ["red"]
    scale: InitVar[int] = 1
    _: KW_ONLY
    seeds: tuple[Apple, ...] = field(default=())

    def __post_init__(self, scale):
        self.weight *= scale

@dataclass(frozen=True, slots=True)
class Pear:
    size: int

def answer():
    apple = Apple(2.0, 3, seeds=(Apple(1.0),))
    names = [f.name for f in dataclasses.fields(Apple)]
    return [names, apple.weight, dataclasses.asdict(Pear(4)), Pear(4) == Pear(4), repr(Pear(1))]

--- orchard/hints.py
from __future__ import annotations
import typing
from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar, runtime_checkable
T = TypeVar("T")

class Stone(NamedTuple):
    hard: bool

class Peach(TypedDict):
    stone: Stone
    sweet: int

class Basket(Generic[T]):
    def put(self, item: T) -> Basket[T]: ...

@runtime_checkable
class Edible(Protocol):
    def eat(self) -> None: ...

class Plum:
    def eat(self): ...

def answer():
    hints = typing.get_type_hints(Peach)
    back = typing.get_type_hints(Basket.put)["return"]
    return [hints["stone"] is Stone, hints["sweet"] is int, typing.get_origin(back) is Basket,
            isinstance(Plum(), Edible)]

--- orchard/enums.py
import enum
import pickle

class Ripe(enum.Enum):
    GREEN = 1
    RED = 2

class Part(enum.Flag):
    SKIN = enum.auto()
    CORE = enum.auto()

def answer():
    again = pickle.loads(pickle.dumps([Ripe.RED, Part.SKIN | Part.CORE]))
    return [again[0] is Ripe.RED, again[1] == Part.SKIN | Part.CORE, Ripe(1).name]

--- orchard/dispatch.py
import abc
import functools

@functools.singledispatch
def taste(x):
    return "nothing"

@taste.register
def _(x: int):
    return "number"

class Base(abc.ABC):
    children = []
    def __init_subclass__(cls):
        Base.children.append(cls.__name__)

class Quince(Base):
    pass

@functools.cache
def slow(n):
    return n + 1

def answer():
    return [taste(1), taste("a"), Base.children, slow(1)]

--- orchard/copies.py
import copy
import pickle
from orchard.model import Fruit
def answer():
    fruit = Fruit("fig")
    clone, again = copy.deepcopy(fruit), pickle.loads(pickle.dumps(fruit))
    return [type(clone) is Fruit, type(again) is Fruit, clone.name, again.name]

--- orchard/seen.py
import inspect
from orchard import model
def answer():
    lines, number = inspect.getsourcelines(model.Fruit.fall)
    return [inspect.getsource(model.bite), number, lines[1].strip(),
            inspect.getmodule(model.Fruit) is model, str(inspect.signature(model.bite))]

--- orchard/failing.py
import traceback
from orchard.model import Fruit
def answer():
    try:
        Fruit("fig").fall()
    except ValueError:
        text = traceback.format_exc()
    return "raise ValueError(self.name)  # this line is in the traceback" in text

--- orchard/logs.py
import logging
import warnings
def answer():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("sour", UserWarning)
    return [logging.getLogger(__name__).name.endswith("orchard.logs"), str(caught[0].message)]
"""

BITE = "def bite(fruit):\n    return type(fruit).__name__, fruit.name\n"

EXPECTED: dict[str, Any] = {
    "orchard.records": [["weight", "seeds"], 6.0, {"size": 4}, True, "Pear(size=1)"],
    "orchard.hints": [True, True, True, True],
    "orchard.enums": [True, True, "GREEN"],
    "orchard.dispatch": ["number", "nothing", ["Quince"], 2],
    "orchard.copies": [True, True, "fig", "fig"],
    "orchard.seen": [
        BITE,
        18,
        "raise ValueError(self.name)  # this line is in the traceback",
        True,
        "(fruit)",
    ],
    "orchard.failing": True,
    "orchard.logs": [True, "sour"],
}

LOADER = """
    import copy, importlib, io, json, multiprocessing, pickle, sys, traceback
    import torch, wardian

    results = {}

    def check(function):
        try:
            results[function.__name__] = function()
        except Exception:
            results[function.__name__] = traceback.format_exc()

    model = wardian.load(sys.argv[1])
    for name, feature in model.features.items():
        feature.__name__ = name
        check(feature)
        feature.__name__ = "answer"
    module = sys.modules[type(model).__module__]
    x = torch.ones(1, 2)

    @check
    def the_name_of_its_module_can_be_imported():
        return importlib.import_module(type(model).__module__) is module

    @check
    def it_compiles_with_imports_of_itself_in_forward():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        return torch.equal(compiled(x), model(x))

    @check
    def it_is_pickled_and_copied():
        again, clone = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
        return [torch.equal(again(x), model(x)), torch.equal(clone(x), model(x)), type(again) is type(model)]

    @check
    def torch_saves_it():
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        return torch.equal(torch.load(buffer, weights_only=False)(x), model(x))

    @check
    def it_trains():
        twin = copy.deepcopy(model)
        torch.optim.SGD(twin.parameters(), 0.1).zero_grad()
        twin(x).sum().backward()
        return float(twin.trunk.bias.grad.sum())

    @check
    def loading_twice_gives_one_class():
        other = wardian.load(sys.argv[1])
        return [type(other) is type(model), other is not model]

    @check
    def a_spawned_process_finds_the_case():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return list(pool.apply(module.bite, (module.Fruit("fig"),)))

    @check
    def it_is_packed_again_onto_the_same_path():
        with torch.no_grad():
            model.trunk.bias += 1
        wardian.pack(model, sys.argv[1], prove=False)
        again = wardian.load(sys.argv[1])
        return [torch.equal(again(x), model(x)), type(again).__qualname__]

    print(json.dumps(results))
"""

USES: dict[str, Any] = {
    "the_name_of_its_module_can_be_imported": True,
    "it_compiles_with_imports_of_itself_in_forward": True,
    "it_is_pickled_and_copied": [True, True, True],
    "torch_saves_it": True,
    "it_trains": 4.0,
    "loading_twice_gives_one_class": [True, True],
    "a_spawned_process_finds_the_case": ["Fruit", "fig"],
    "it_is_packed_again_onto_the_same_path": [True, "Orchard"],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the features answer where they are installed, and everything where the case is loaded."""
    folder = tmp_path_factory.mktemp("language")
    project = write_tree(folder / "project", PROJECT)
    case = folder / "orchard.case"
    with importable(project) as load:
        features = {name: load(name).answer for name in EXPECTED}
        wardian.pack(load("orchard.model").Orchard(features), case, inputs=(torch.ones(1, 2),))
        before = answers_of(features)
    # The library is installed where the case is loaded, but broken: nothing may touch it.
    decoy = write_tree(folder / "decoy", "--- orchard/__init__.py\nraise RuntimeError('the installed one')")
    printed = run_python(LOADER, case, folder=folder, paths=(decoy,))
    return before, json.loads(printed.splitlines()[-1])


@pytest.mark.parametrize("feature", EXPECTED)
def test_the_loaded_feature_answers_as_the_installed_one(
    feature: str, results: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    installed, loaded = results
    assert installed[feature] == EXPECTED[feature], "the test itself is wrong"
    assert loaded[feature] == EXPECTED[feature], loaded[feature]


@pytest.mark.parametrize("use", USES)
def test_the_loaded_model_is_an_ordinary_one(
    use: str, results: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    assert results[1][use] == USES[use], results[1][use]


def test_an_object_that_is_no_module_is_packed_too(tmp_path: Path) -> None:
    state: dict[str, Any] = {"weights": torch.arange(3.0), "names": ["a", "b"], "shape": (1, 2), "none": None}
    wardian.pack(state, tmp_path / "state.case", prove=False)
    again = wardian.load(tmp_path / "state.case")
    assert torch.equal(again.pop("weights"), state.pop("weights"))
    assert again == state
