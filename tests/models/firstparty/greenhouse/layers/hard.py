"""Found by name only: no import statement anywhere names this module."""

from __future__ import annotations

import torch


def prune(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.abs() < 0.1, torch.zeros_like(x), x)
