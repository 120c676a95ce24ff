"""Closures over modules, tensors that the model owns, and variables that several functions share."""

import torch
from torch import nn

from specimen import pack


def make_scaled(layer, weight):
    def scaled(x):
        """Scale."""
        return layer(x) * weight.sum()

    scaled.note = "kept"
    return scaled


def make_counter():
    count = 0

    def increase(by=1, *, twice=False):
        nonlocal count
        count += by * (2 if twice else 1)
        return count

    def read():
        return count

    return increase, read


def make_factorial():
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    return factorial


def make_even():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    return even


def make_unset():
    def reads():
        try:
            return later
        except NameError:
            return 5

    if False:
        later = 1
    return reads


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.scaled = make_scaled(self.linear, self.linear.weight)
        self.increase, self.read = make_counter()
        self.factorial = make_factorial()
        self.even = make_even()
        self.unset = make_unset()

    def forward(self, x):
        return self.scaled(x) * self.factorial(4) + self.even(4) + self.unset()


model = Net()
model.increase(5)
pack(
    model,
    (torch.randn(1, 2),),
    check="""
assert model.increase() == 6 and model.read() == 6 and model.increase(2, twice=True) == 10 == model.read()
with torch.no_grad():
    model.linear.weight.zero_()
assert model.scaled(torch.ones(1, 2)).abs().sum() == 0  # the closure holds the model's own weight
assert model.scaled.__qualname__ == "make_scaled.<locals>.scaled" and model.scaled.note == "kept"
assert model.scaled.__doc__ == "Scale." and model.scaled.__name__ == "scaled"
assert model.scaled.__module__ == module.__name__
""",
)
