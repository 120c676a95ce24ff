from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import typing
from typing import Generic, NamedTuple, Optional, Protocol, TypedDict, TypeVar

if typing.TYPE_CHECKING:
    from orchard.model import Press

T = TypeVar("T")


@dataclasses.dataclass
class Apple:
    weight: float
    seeds: list[Seed] = dataclasses.field(default_factory=list)
    press: Optional[Press] = None


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Seed:
    size: int


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Part(enum.Flag):
    SKIN = enum.auto()
    CORE = enum.auto()


class Stone(NamedTuple):
    hard: bool
    size: int = 1


Pip = collections.namedtuple("Pip", "a b")


class Jam(TypedDict):
    sugar: int
    stone: Stone


class Basket(Generic[T]):
    def put(self, item: T, seed: Seed | None = None) -> Basket[T]:
        return self


class Edible(Protocol):
    def eat(self) -> None: ...


class Tree(abc.ABC):
    @abc.abstractmethod
    def grow(self): ...


@Tree.register
class Bush:
    pass


@functools.singledispatch
def taste(x):
    return "nothing"


@taste.register
def _(x: Apple):
    return "sweet"


@functools.cache
def slow(n):
    return object()


class Slotted:
    __slots__ = ("a", "__weakref__")

    def __init__(self, a):
        self.a = a

    def __getstate__(self):
        return {"a": self.a}

    def __setstate__(self, state):
        self.a = state["a"]


from orchard import ops

ops.TOOLS["taste"] = taste
ops.TOOLS["apple"] = Apple
