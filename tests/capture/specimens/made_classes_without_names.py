"""Classes made by calls in functions, which no name leads to."""

import collections
import dataclasses
import enum

import torch
from torch import nn

from specimen import pack


def make_all():
    scaled = type("Scaled", (nn.Module,), {"factor": 3, "forward": lambda self, x: x * self.factor})
    point = collections.namedtuple("Point", ["x", "y"], defaults=(2,))
    color = enum.Enum("Color", {"RED": 1, "GREEN": 2})
    data = dataclasses.make_dataclass(
        "Data", [("value", int), ("rest", list, dataclasses.field(default_factory=list))], frozen=True
    )
    derived = type("Derived", (scaled,), {"__doc__": "A class.", "factor": property(lambda self: 5)})
    return scaled, point, color, data, derived


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        scaled, point, color, data, derived = make_all()
        self.scaled, self.point, self.color, self.data, self.derived = (
            scaled(),
            point(1),
            color.GREEN,
            data(5, [1]),
            derived(),
        )

    def forward(self, x):
        return self.derived(self.scaled(x)) + self.point.y + self.color.value + self.data.value


pack(
    Net(),
    (torch.randn(2),),
    check="""
import dataclasses
assert isinstance(model.derived, type(model.scaled)) and type(model.derived).__doc__ == "A class."
assert model.data == dataclasses.replace(model.data) and type(model.data)(1).rest == []
assert type(model.color)["RED"].value == 1 and model.color is type(model.color).GREEN
assert type(model.point)(9) == (9, 2) and type(model.point)._fields == ("x", "y")
""",
)
