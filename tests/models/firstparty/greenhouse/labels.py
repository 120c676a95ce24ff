"""Imported by a function only, and reads a file beside it when called."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=None)
def read_labels() -> tuple[str, ...]:
    return tuple((Path(__file__).parent / "labels.txt").read_text().split())
