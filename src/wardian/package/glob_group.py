"""Patterns of names."""

from __future__ import annotations

from collections.abc import Iterable

from wardian.domain import globs

__all__ = ["GlobGroup", "GlobPattern"]

GlobGroup = globs.GlobGroup

GlobPattern = str | Iterable[str]
"""A pattern, or several."""
