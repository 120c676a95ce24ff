"""Own time of packing: the 2-layer BERT without proof, against torch.package."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import torch

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
    return [Comparison("pack BERT, 2 layers, no proof", "torch.package", tuple(ours), theirs, _GOAL, goal)]


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
