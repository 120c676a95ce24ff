"""Models, and what belongs to them.

>>> double(2)
4
"""

import torch
from torch import nn


class Branch(nn.Module):
    """A layer."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return torch.relu(self.linear(x)) + x


class Orchard(nn.Module):
    """A model that imports its own library in forward."""

    def __init__(self, width=4, depth=2):
        super().__init__()
        self.branches = nn.ModuleList([Branch(width) for _ in range(depth)])
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, width)
        self.tail = nn.Linear(width, width)
        self.tail.weight = self.head.weight

    def forward(self, x):
        import orchard.ops
        from orchard.ops import ripen

        for branch in self.branches:
            x = branch(x)
        return orchard.ops.ripen(self.norm(x)) + ripen(self.tail(self.head(x)))


class Scriptable(nn.Module):
    """One that TorchScript takes."""

    def __init__(self):
        super().__init__()
        self.branch = Branch(4)

    def forward(self, x):
        return helper(self.branch(x), 2)


def helper(x: torch.Tensor, times: int) -> torch.Tensor:
    for _ in range(times):
        x = x + 1
    return x


class Press:
    """A plain class."""

    def __init__(self, fruit="apple"):
        self.fruit = fruit

    def __eq__(self, other):
        return type(other) is type(self) and other.fruit == self.fruit

    def __hash__(self):
        return hash(self.fruit)

    def squeeze(self):
        return f"{self.fruit} juice"

    def break_down(self):
        raise BrokenPressError(self.fruit)  # the line that raises

    class Lid:
        """A nested class."""


class BrokenPressError(RuntimeError):
    """An exception of the library."""


def double(x):
    """Return twice x.

    >>> double(3)
    6
    """
    return 2 * x


def make_adder(n):
    def add(x):
        return x + n

    return add


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


twice = Twice.apply
