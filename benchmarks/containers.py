"""Large containers: the time of packing them without proof, and that of reading weights without code."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import wardian
from benchmarks.timing import Comparison, Row

_CONTAINERS: dict[str, Callable[[], object]] = {
    "a dictionary of 1,000,000 texts": lambda: {f"key{n}": f"value{n}" for n in range(10**6)},
    "a list of 1,000,000 pairs": lambda: [(n, n + 1) for n in range(10**6)],
    "a list of 1,000,000 integers": lambda: list(range(10**6)),
    "a list of 1,000,000 floats": lambda: [n * 0.5 for n in range(10**6)],
    "200,000 small dictionaries": lambda: [{"name": f"n{n}", "sizes": [n, n + 1]} for n in range(200_000)],
    "a set of 1,000,000 texts": lambda: {f"word{n}" for n in range(10**6)},
    "100,000 small arrays": lambda: list(np.zeros((100_000, 4), np.float32)),
    "100,000 parameters": lambda: nn.ParameterDict(
        {f"p{n}": nn.Parameter(torch.full((4,), float(n))) for n in range(100_000)}
    ),
    "1,000 small tensors": lambda: [torch.full((4,), float(n)) for n in range(1_000)],
}


def measure(folder: Path, runs: int) -> list[Row]:
    """Compare by CPU seconds, in turn: one thread does nearly all of it, and waits for nothing."""
    wardian.pack([], folder / "held.case", prove=False)  # and import what packing needs
    rows: list[Row] = [_packed(what, make(), folder, runs) for what, make in _CONTAINERS.items()]
    modules = nn.ModuleList(nn.Linear(2, 2) for _ in range(20_000))
    return [*rows, _packed("20,000 modules", modules, folder, runs), _read(modules, folder, runs)]


def _packed(what: str, held: object, folder: Path, runs: int) -> Row:
    """Compare with what packing an empty list does not take as well."""
    pairs = []
    for _ in range(runs):
        fixed = _seconds(lambda: wardian.pack([], folder / "held.case", prove=False))
        ours = _seconds(lambda: wardian.pack(held, folder / "held.case", prove=False))
        pairs.append((ours - fixed, _seconds(lambda: torch.save(held, folder / "held.pt"))))
    ours_all, theirs = zip(*pairs, strict=True)
    return Comparison(f"pack {what}, no proof, CPU time", "torch.save", ours_all, theirs, 1.5)


def _read(modules: nn.Module, folder: Path, runs: int) -> Row:
    path = folder / "held.case"
    wardian.pack(modules, path, prove=False)
    wardian.load(path)
    pairs = [
        (_seconds(lambda: wardian.open(path).state_dict()), _seconds(lambda: wardian.load(path)))
        for _ in range(runs)
    ]
    ours, theirs = zip(*pairs, strict=True)
    return Comparison("state_dict of 20,000 modules, CPU time", "wardian.load", ours, theirs, 0.3)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
