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


class Scale(nn.Parameter):
    """PyTorch pickles it as a plain parameter; it refuses what it does not know."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if not function.__name__.startswith("__"):
            raise TypeError(f"{function} is not for {cls}")
        return super().__torch_function__(function, types, args, kwargs or {})

    def of(self, x):
        return x * self.as_subclass_of_tensor()[0]

    def as_subclass_of_tensor(self):
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(torch.Tensor) * self.factor


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Scale(torch.tensor([2.0, 5.0]))
        self.scale.factor = 3.0
        self.again = self.scale

    def forward(self, x):
        return self.scale.of(x)


Block = make_class(3, Base)
model = nn.Sequential(Block(), make_class(3, Base).make(), Scaled())
pack(
    model,
    (torch.randn(2, 3),),
    check="""
assert type(model[0]) is not type(model[1]) and type(model[0]).__qualname__ == "make_class.<locals>.Block"
assert type(type(model[0]).make()) is type(model[0])
assert type(model[2].scale).__qualname__ == "Scale" and model[2].scale is model[2].again
assert model[0].settings.names == ["a"] and type(model[0].settings)(size=1).names == []
""",
)
