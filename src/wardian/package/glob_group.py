"""Patterns of names."""

from __future__ import annotations

from collections.abc import Iterable

from wardian.globs import GlobGroup

__all__ = ["GlobGroup", "GlobPattern"]

GlobPattern = str | Iterable[str]
"""A pattern, or several."""
