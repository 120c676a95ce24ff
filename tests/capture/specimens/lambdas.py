"""Lambdas: as attributes, two on a line, as default arguments, over several lines."""

import torch
from torch import nn

from specimen import pack

FACTOR = 3
double = lambda x: x * 2


class Net(nn.Module):
    triple = lambda self, x: x * FACTOR

    def __init__(self):
        super().__init__()
        self.first, self.second = (lambda x: x + 1), (lambda x: x + 2)
        self.act = lambda x, by=lambda y: y / 4: by(x) - 1
        self.long = lambda x: (
            x + FACTOR  # in parentheses
        )
        self.double = double
        self.nested = (lambda a: lambda b: a + b)(10)
        self.table = {"relu": lambda x: x.relu(), "neg": lambda x: -x, "pair": [lambda: 1, lambda: 2]}
        self.quoted = lambda x: (
            x
            + len("""two
lines""")
        )

    def forward(self, x):
        x = self.first(x) + self.second(x) * 100 + self.act(x) + self.long(x) + self.double(x)
        x = self.triple(self.nested(x)) + self.table["relu"](x) + self.table["neg"](x) * 7 + self.quoted(x)
        return x + self.table["pair"][0]() + 10 * self.table["pair"][1]()


pack(Net(), (torch.randn(4),))
