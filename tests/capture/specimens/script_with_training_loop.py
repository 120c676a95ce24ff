"""A class in a script, with what it uses, and a training loop below it that must not run again."""

import enum
import logging
import math
from dataclasses import dataclass

import torch
from torch import nn

from specimen import pack

logger = logging.getLogger(__name__)
HIDDEN = 8
SCALE = math.sqrt(2)


class Mode(enum.Enum):
    MEAN = 1
    SUM = 2


@dataclass
class Config:
    hidden: int = HIDDEN
    mode: Mode = Mode.SUM


CONFIG = Config(hidden=4)
table = {"offset": torch.ones(3)}


def helper(x):
    logger.debug("helper was called")
    return x * SCALE + table["offset"].sum() + CONFIG.hidden


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.linear = nn.Linear(3, config.hidden)
        self.table = table

    def forward(self, x):
        return helper(self.linear(x)) if self.config.mode is Mode.SUM else x


model = Net(CONFIG)
steps = 0
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(2):
    steps += 1
    print("TRAINING")
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()

if __name__ == "__main__":
    print("MAIN")
    pack(
        model,
        (torch.ones(2, 3),),
        check="""
source = wardian.open(case).read("captured/main.py").decode()
assert "TRAINING" not in source and "optimizer" not in source and "MAIN" not in source
assert module.table is model.table and module.CONFIG is model.config
assert not hasattr(module, "steps") and "@dataclass\\nclass Config" in source
assert type(model.config.mode).__name__ == "Mode" and module.Mode is type(model.config.mode)
""",
    )
