"""Modules that PyTorch gave a class of their own, to compute a weight from others."""


import torch
from torch import nn
from torch.nn.utils import parametrizations

from specimen import pack


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = parametrizations.weight_norm(nn.Conv1d(2, 2, 3), dim=2)
        self.linear = parametrizations.spectral_norm(parametrizations.orthogonal(nn.Linear(2, 2)))

    def forward(self, x):
        return self.linear(self.conv(x))


pack(
    Net().eval(),
    (torch.randn(1, 2, 4),),
    check="""
import copy
from torch import nn
from torch.nn.utils import parametrize
assert parametrize.is_parametrized(model.conv, "weight")
assert isinstance(model.conv, nn.Conv1d) and type(model.conv) is not nn.Conv1d
before = model.linear.weight.detach().clone()
model(torch.randn(1, 2, 4)).sum().backward()
assert model.conv.parametrizations.weight.original0.grad is not None
assert torch.equal(copy.deepcopy(model).linear.weight, before)
parametrize.remove_parametrizations(model.linear, "weight")
assert type(model.linear) is nn.Linear and torch.equal(model.linear.weight, before)
""",
)
