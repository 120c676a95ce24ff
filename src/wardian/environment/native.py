"""Shared libraries that are mapped into this process."""

from __future__ import annotations

from pathlib import Path

__all__ = ["mapped_libraries"]


def mapped_libraries() -> frozenset[str]:
    """Return the shared libraries that are mapped into this process; empty where the system does not tell."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return frozenset()
    fields = (line.split(maxsplit=5) for line in lines)
    return frozenset(f[5] for f in fields if len(f) == 6 and ".so" in f[5] and f[5].startswith("/"))
