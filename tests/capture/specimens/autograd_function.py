"""torch.autograd.Function, parametrizations and overridden dunder methods in a script."""

import torch
import torch.nn.utils.parametrize as parametrize
from torch import nn

from specimen import pack


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))


swish = Swish.apply


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).T


class Net(nn.Module):
    __version__ = "1"

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))
        self.act = Swish.apply

    def __len__(self):
        return 3

    def __getattr__(self, name):
        if name == "magic":
            return 42
        return super().__getattr__(name)

    def forward(self, x):
        return swish(x @ self.weight) + self.act(x) + self.magic + len(self)


pack(Net(), (torch.randn(2, 3),))
