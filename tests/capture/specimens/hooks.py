"""Bound methods, local functions and partials as hooks."""

import functools
import types

import torch
from torch import nn

from specimen import pack


def shift(amount, module, args, output):
    return output + amount


def forward_twice(self, x):
    return nn.Linear.forward(self, x) * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.other = nn.Linear(2, 2)
        self.seen = []
        self.linear.register_forward_hook(self.remember)
        self.linear.register_forward_hook(functools.partial(shift, 10))
        self.linear.register_forward_pre_hook(lambda module, args: (args[0] * 3,))
        self.linear.register_forward_hook(functools.partial(lambda n, m, a, o: o - n, 4))
        self.other.forward = types.MethodType(forward_twice, self.other)
        self.norm = functools.partial(torch.linalg.vector_norm, dim=1)
        self.relu = torch.relu
        self.method = types.MethodType(lambda self, x: x + len(self.seen) * 0, self)

    def remember(self, module, args, output):
        self.seen.append(output.shape)
        return output * 2

    def forward(self, x):
        return self.norm(self.relu(self.method(self.other(self.linear(x)))))


pack(
    Net(),
    (torch.randn(2, 2),),
    check="""
assert len(model.seen) == 1
assert model.linear._forward_hooks and next(iter(model.linear._forward_hooks.values())).__self__ is model
assert model.other.forward.__self__ is model.other
""",
)
