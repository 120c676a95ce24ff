"""Classes made by calls: type, make_dataclass, namedtuple, NamedTuple, Enum, NewType, TypeVar, with names."""

import collections
import dataclasses
import enum
import typing
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import nn

from specimen import pack

T = TypeVar("T")
Point = collections.namedtuple("Point", "x y", defaults=(2,))
Named = NamedTuple("Named", [("a", int), ("b", float)])
Color = enum.Enum("Color", "RED GREEN")
Flags = enum.IntFlag("Flags", ["READ", "WRITE"])
Data = dataclasses.make_dataclass(
    "Data", [("value", int), ("rest", list, dataclasses.field(default_factory=list))]
)
Meters = typing.NewType("Meters", int)


class Registry(type):
    known = []

    def __new__(mcs, name, bases, body):
        cls = super().__new__(mcs, name, bases, body)
        mcs.known.append(name)
        return cls


class Registered(metaclass=Registry):
    pass


class Box(Generic[T]):
    __slots__ = ("item", "__weakref__")

    def __init__(self, item: T):
        self.item = item


class Typed(NamedTuple):
    size: int = 3


Scaled = type("Scaled", (nn.Module,), {"factor": 3, "forward": lambda self, x: x * self.factor})


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.point = Point(1)
        self.named = Named(1, 2.0)
        self.color = Color.GREEN
        self.flags = Flags.READ | Flags.WRITE
        self.data = Data(5)
        self.registered = Registered()
        self.box: Box[int] = Box[int](7)
        self.typed = Typed()
        self.scaled = Scaled()
        self.kind = Box[int]

    def forward(self, x):
        total = (
            self.point.y + self.named.b + self.color.value + self.data.value + self.box.item + self.typed.size
        )
        return self.scaled(x) * Meters(2) + total


pack(
    Net(),
    (torch.randn(2),),
    check="""
assert model.color is module.Color.GREEN and module.Point(3) == (3, 2)
assert type(model.registered) is module.Registered and module.Registry.known == ["Registered"]
assert model.flags == module.Flags.READ | module.Flags.WRITE
assert not hasattr(model.box, "__dict__") and model.kind == module.Box[int]
""",
)
