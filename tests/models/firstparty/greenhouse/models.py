from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass

import torch
from torch import nn

from greenhouse.layers import Growth

from .config import Config, Pruning

logger = logging.getLogger(__name__)


@dataclass
class Harvest:
    heights: torch.Tensor
    pruning: Pruning
    labels: list[str]


class Seedling(nn.Module):
    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or Config.default()
        self.blocks = nn.Sequential(*(Growth(self.config) for _ in range(self.config.depth)))
        self.head = nn.Linear(self.config.width, 4)

    def forward(self, x: torch.Tensor) -> Harvest:
        from greenhouse.labels import read_labels

        pruning = importlib.import_module(f"greenhouse.layers.{self.config.pruning.value}")
        heights = self.head(pruning.prune(self.blocks(x)))
        labels = [read_labels()[i] for i in heights.argmax(dim=-1).tolist()]
        logger.info("harvested %d", len(labels))
        return Harvest(heights, self.config.pruning, labels)
