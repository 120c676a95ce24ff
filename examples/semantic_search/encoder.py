"""A sentence encoder as people write them: a transformer, its tokenizer, mean pooling, unit length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

__all__ = ["SentenceEncoder"]


class SentenceEncoder(nn.Module):
    """Turn sentences into vectors whose dot product says how close their meanings are.

    Args:
        folder: Holds weights, configuration and tokenizer in the layout of transformers.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.transformer: Any = AutoModel.from_pretrained(folder)

    def forward(self, sentences: list[str]) -> torch.Tensor:
        """Return one unit vector for each sentence, as the rows of a matrix."""
        tokens = self.tokenizer(sentences, padding=True, truncation=True, return_tensors="pt")
        hidden = self.transformer(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return nn.functional.normalize(pooled, dim=-1)

    @torch.no_grad()
    def encode(self, sentences: list[str]) -> torch.Tensor:
        """Encode without gradients."""
        vectors: torch.Tensor = self(sentences)
        return vectors
