"""Definitions under if and try, a name defined twice, definitions in the body of the script's main guard."""

import sys

import torch
from torch import nn

from specimen import pack

try:
    import a_module_that_is_not_there as fast
except ImportError:
    fast = None

if sys.version_info >= (3,):

    def helper(x):
        text = """
    kept
"""
        return x + len(text)

else:

    def helper(x):
        return x


def twice(x):
    return x * 100


def twice(x):
    return x * 2


if __name__ == "__main__":
    OFFSET = 3

    class Net(nn.Module):
        def forward(self, x):
            return (helper(twice(x)) + OFFSET) if fast is None else x

    pack(Net(), (torch.randn(2),), check="assert module.fast is None")
