from __future__ import annotations

import logging

import torch
from torch import nn

from ..config import Config

logger = logging.getLogger(__name__)


class Growth(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.width, config.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logger.debug("growing %s", tuple(x.shape))
        return x + torch.tanh(self.linear(x)) * (self.config.bias or 1.0)
