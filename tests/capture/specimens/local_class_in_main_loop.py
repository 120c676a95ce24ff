"""A class of a function that has returned, held by its instance only."""

import torch
from torch import nn

from specimen import pack

SHIFT = 4


def build():
    scale = torch.full((2,), 3.0)

    class Scale(nn.Module):
        def forward(self, x):
            return x * scale + SHIFT

    return Scale()


pack(build(), (torch.randn(2),))
