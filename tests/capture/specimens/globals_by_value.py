"""Globals that are no constants: a module, an array, a registry that a decorator fills, a lock, a device."""

import logging
import re
import threading

import numpy as np
import torch
from torch import nn

from specimen import pack

encoder = nn.Linear(2, 2)
WEIGHTS = np.array([1.0, 2.0])
REGISTRY = {}
lock = threading.Lock()
logger = logging.getLogger("garden")
device = torch.device("cpu")
PATTERN = re.compile("a+")
LIMITS = (float("inf"), -1.5, {"not": "literal"}["not"])
counter = 0
NUMBERS = [1, 2, 3]
NUMBERS.append(4)
dataset = open(__file__)  # cannot be pickled, and is used in training only


def register(cls):
    REGISTRY[cls.__name__] = cls
    return cls


@register
class Act(nn.Module):
    def forward(self, x):
        return x.relu()


def default_size(n=len(NUMBERS)):
    return n


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = REGISTRY["Act"]()
        self.shared = encoder

    def training_epoch(self):
        return dataset.read()

    def forward(self, x):
        global counter
        counter += 1
        with lock:
            logger.debug("%s", PATTERN)
            x = encoder(x).to(device) + torch.from_numpy(WEIGHTS).float() + sum(NUMBERS) + default_size()
        return self.act(x).clamp(max=LIMITS[0]) + len(REGISTRY)


pack(
    Net(),
    (torch.randn(2),),
    check="""
assert module.encoder is model.shared and module.counter == 1 and module.REGISTRY["Act"] is type(model.act)
assert module.NUMBERS == [1, 2, 3, 4]
""",
)
