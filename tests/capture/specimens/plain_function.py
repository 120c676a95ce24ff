"""Not a module but a function, a class and a partial."""

import functools

import torch

from specimen import pack

SCALE = 2


def scale(x, by=SCALE):
    return x * by


pack(functools.partial(scale, by=torch.tensor(3.0)), (torch.randn(2),))
