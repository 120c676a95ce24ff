"""Time whole processes in turn, so that a drift of the machine's speed meets both sides alike."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Times of two programs, run in turn."""

    what: str
    ours: tuple[float, ...]
    """Wall seconds of each run."""
    theirs: tuple[float, ...]
    target: float
    """The ratio ours / theirs that is aimed at."""

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring runs."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        mine, other = statistics.median(self.ours), statistics.median(self.theirs)
        kept = "kept" if self.ratio <= self.target else "**missed**"
        times = f"{mine:.2f} s | {other:.2f} s | {self.ratio:.2f}"
        return f"| {self.what} | {times} | ≤ {self.target:g} | {kept} |"


def seconds(arguments: Sequence[str]) -> float:
    """Run a Python program and return its wall time."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def compare(what: str, ours: Sequence[str], theirs: Sequence[str], *, target: float, runs: int) -> Comparison:
    """Time two programs in turn after a warm-up of each."""
    for arguments in (ours, theirs):
        seconds(arguments)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    mine, other = zip(*pairs, strict=True)
    return Comparison(what, mine, other, target)


def machine() -> str:
    """Name the machine and the versions that were measured."""
    import torch

    model = "unknown processor"
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        model = names[0] if names else platform.machine()
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, "
        f"CPython {platform.python_version()}, torch {torch.__version__}"
    )
