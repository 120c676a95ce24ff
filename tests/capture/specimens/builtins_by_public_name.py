"""Functions and methods of C code, of PyTorch, NumPy and Python, as attributes."""

import math
import operator
import types

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from specimen import pack

FUNCTIONS = [
    torch.relu,
    torch.sigmoid,
    torch.Tensor.neg,
    F.gelu,
    torch.special.expit,
    torch.ops.aten.abs.default,
    torch.ops.aten.sin,
    torch._C._nn.gelu,
    torch.Tensor.abs_,
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.functions = list(FUNCTIONS)
        self.norm = torch.linalg.vector_norm
        self.fft = torch.fft.rfft
        self.other = [math.sin, operator.add, np.add, np.linalg.norm, operator.itemgetter(1), str.lower, len]
        self.finfo = torch.finfo(torch.float32)
        self.read_only = types.MappingProxyType({"a": 1})
        self.kinds = [types.FunctionType, types.MappingProxyType, type(None), type(len)]

    def forward(self, x):
        for function in self.functions:
            x = function(x)
        return (
            self.norm(x) + self.fft(x).real + self.other[0](1.0) + self.other[3]([3.0, 4.0]) + self.finfo.eps
        )


pack(
    Net(),
    (torch.randn(4),),
    check="""
import pickletools
data = wardian.open(case).read("model/model.pkl")
strings = [a for o, a, _ in pickletools.genops(data) if isinstance(a, str)]
assert "relu" in strings and "vector_norm" in strings and "linalg_vector_norm" not in strings
assert "_VariableFunctions" not in strings and model.functions[0] is torch.relu
""",
)
