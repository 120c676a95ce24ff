"""How long a call into a cage takes, for each way of keeping it that works here."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

import wardian
from benchmarks.timing import Measured, Row
from wardian.sandbox import bubblewrap, landlock
from wardian.sandbox.launching import Way

_CALLS = 300
_TARGETS = {100_000: 2.0, 1_000_000: 4.0}
"""Bytes in, and the same out → milliseconds, copies included."""


def measure(folder: Path, runs: int) -> list[Row]:
    """Time calls of an object that returns what it gets; *runs* does not count, they are many."""
    case = folder / "identity.case"
    wardian.pack(torch.nn.Identity(), case, prove=False)
    return [row for way in _ways() for row in _calls(case, way)]


def _ways() -> list[Way]:
    found: list[Way] = []
    if bubblewrap.find()[0] is not None:
        found.append("bubblewrap")
    if landlock.version() >= landlock.NEEDED:
        found.append("landlock")
    return found


def _calls(case: Path, way: Way) -> list[Row]:
    rows: list[Row] = []
    with wardian.load_sandboxed(case, way=way) as caged:
        for size, target in _TARGETS.items():
            given = torch.rand(size // 4)
            caged(given)
            taken = []
            for _ in range(_CALLS):
                start = time.perf_counter()
                caged(given)
                taken.append(time.perf_counter() - start)
            what = f"a call into a cage ({way}), {size // 1000:,} kB in and out, the median of {_CALLS}"
            rows.append(Measured(what, 1000 * statistics.median(taken), "ms", target))
    return rows
