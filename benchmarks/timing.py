"""Comparisons; whole processes, timed in turn: a drift of the machine's speed then meets both sides."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

HEAD = "| work | ours | peer | theirs | ratio | target | |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Comparison:
    """Figures of two programs, taken in turn: one row of a table."""

    what: str
    peer: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    target: float | None = None
    """The largest ratio of the figures, ours / theirs, that is aimed at. None if nothing is."""
    goal: str = ""
    """The target in the words it was set in, if not as a ratio of the figures."""
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring runs."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def kept(self) -> bool:
        """Whether the target is reached, if there is one."""
        return self.target is None or self.ratio <= self.target

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        mine, other = (self._shown(statistics.median(side)) for side in (self.ours, self.theirs))
        goal = "" if self.target is None else self.goal or f"≤ {self.target:g}"
        verdict = "" if self.target is None else "kept" if self.kept else "**missed**"
        return f"| {self.what} | {mine} | {self.peer} | {other} | {self.ratio:.2f} | {goal} | {verdict} |"

    def _shown(self, figure: float) -> str:
        return f"{figure:.3f} {self.unit}" if figure < 0.1 else f"{figure:.2f} {self.unit}"


@dataclass(frozen=True)
class Measured:
    """Figures of ours that no peer has: one row of the same table."""

    what: str
    ours: float
    unit: str
    target: float
    """The most that is aimed at."""
    goal: str = ""

    @property
    def kept(self) -> bool:
        """Whether the target is reached."""
        return self.ours <= self.target

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        verdict = "kept" if self.kept else "**missed**"
        goal = self.goal or f"≤ {self.target:g} {self.unit}"
        return f"| {self.what} | {self.ours:.2f} {self.unit} | | | | {goal} | {verdict} |"


Row = Comparison | Measured


def seconds(arguments: Sequence[str]) -> float:
    """Run a Python program and return its wall time."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def processor_seconds(arguments: Sequence[str]) -> float:
    """Run a Python program and return the time of processors that it took: others do not lengthen it much."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds(arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(
    what: str, peer: str, ours: Sequence[str], theirs: Sequence[str], *, target: float, runs: int
) -> Comparison:
    """Time two programs in turn after a warm-up of each."""
    for arguments in (ours, theirs):
        seconds(arguments)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    mine, other = zip(*pairs, strict=True)
    return Comparison(what, peer, mine, other, target)


def measured_at() -> str:
    """Return the day and the commit of the code that is measured."""
    asked = ["git", "-C", os.path.dirname(__file__), "describe", "--always", "--dirty"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}"


def machine() -> str:
    """Name the machine and the versions that were measured."""
    import importlib.metadata

    model = platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        model = names[0] if names else model
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torch", "safetensors", "blake3", "torchvision", "timm", "transformers")
    ]
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory,"
        f" {platform.system()} {platform.release().partition('-')[0]}, CPython {platform.python_version()},"
        f" {', '.join(versions)}"
    )
