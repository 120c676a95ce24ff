"""Own time of packing: the 2-layer BERT without proof, against torch.package, and large containers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import wardian
from benchmarks.timing import Comparison, Row

_GOAL = 3.0 / 22
"""The goal is 3 s where torch.package takes 22."""


def measure(folder: Path, runs: int) -> list[Row]:
    """Time packing in this process, the library of the model imported before."""
    from transformers import BertConfig, BertModel

    model, tokens = BertModel(BertConfig(num_hidden_layers=2)).eval(), torch.ones(1, 8, dtype=torch.long)
    model(tokens)
    ours = []
    for _ in range(runs):
        started = time.perf_counter()
        wardian.pack(model, folder / "bert.case", inputs=(tokens,), prove=False)
        ours.append(time.perf_counter() - started)
    # Once: it takes as long as all others together.
    theirs = (_torch_package(model, folder),) * runs
    goal = "3 s / 22 s"
    bert = Comparison("pack BERT, 2 layers, no proof", "torch.package", tuple(ours), theirs, _GOAL, goal)
    return [bert, *(_container(what, make, folder, runs) for what, make in _CONTAINERS.items())]


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
    "20,000 modules": lambda: nn.ModuleList(nn.Linear(2, 2) for _ in range(20_000)),
}


def _container(what: str, make: Callable[[], object], folder: Path, runs: int) -> Row:
    """Compare by CPU seconds, in turn: one thread does nearly all of it, and waits for nothing."""
    held = make()
    pairs = []
    for _ in range(runs):
        started = time.process_time()
        wardian.pack(held, folder / "held.case", prove=False)
        between = time.process_time()
        torch.save(held, folder / "held.pt")
        pairs.append((between - started, time.process_time() - between))
    ours, theirs = zip(*pairs, strict=True)
    return Comparison(f"pack {what}, no proof, CPU time", "torch.save", ours, theirs, 1.5)


def _torch_package(model: torch.nn.Module, folder: Path) -> float:
    from torch.package import PackageExporter  # type: ignore[attr-defined]

    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PackageExporter(folder / "bert.pt") as exporter:
            exporter.intern(["transformers.**", "huggingface_hub.**", "tqdm.**", "packaging.**"])
            exporter.extern("**", exclude="torch.**")
            exporter.save_pickle("model", "model.pkl", model)
    return time.perf_counter() - started
