"""Classes defined in functions: with cells, super(), enclosing names in their bodies and bases."""

from dataclasses import dataclass, field

import torch
from torch import nn

from specimen import pack


def make_class(width, base):
    @dataclass
    class Settings:
        size: int = width
        names: list = field(default_factory=list)

    class Block(base):
        features = width

        class Inner:
            level = 2

        def __init__(self):
            super().__init__()
            self.settings = Settings(names=["a"])
            self.linear = nn.Linear(width, width)
            self.inner = self.Inner()

        @property
        def size(self):
            return self.settings.size + width

        @staticmethod
        def twice(x):
            return 2 * x

        @classmethod
        def make(cls):
            return cls()

        def forward(self, x):
            y = super().extra(x)
            return self.twice(self.linear(y)) * self.size + isinstance(self, Block) + self.inner.level

    return Block


class Base(nn.Module):
    def extra(self, x):
        return x + 1


Block = make_class(3, Base)
model = nn.Sequential(Block(), make_class(3, Base).make())
pack(
    model,
    (torch.randn(2, 3),),
    check="""
assert type(model[0]) is not type(model[1]) and type(model[0]).__qualname__ == "make_class.<locals>.Block"
assert type(type(model[0]).make()) is type(model[0])
assert model[0].settings.names == ["a"] and type(model[0].settings)(size=1).names == []
""",
)
