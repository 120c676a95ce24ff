"""Own time of packing: the 2-layer BERT without proof, against torch.package with hand-written patterns."""

from __future__ import annotations

import statistics
import time
import warnings
from pathlib import Path

import torch

import wardian

_GOAL = 3.0


def measure(folder: Path, runs: int) -> list[str]:
    """Return rows of a Markdown table: median seconds in this process, its library imported before."""
    from transformers import BertConfig, BertModel

    model, tokens = BertModel(BertConfig(num_hidden_layers=2)).eval(), torch.ones(1, 8, dtype=torch.long)
    model(tokens)
    ours = []
    for _ in range(runs):
        started = time.perf_counter()
        wardian.pack(model, folder / "bert.case", inputs=(tokens,), prove=False)
        ours.append(time.perf_counter() - started)
    theirs = _torch_package(model, folder)
    mine = statistics.median(ours)
    kept = "kept" if mine <= _GOAL else "**missed**"
    times = f"{mine:.2f} s | {theirs:.2f} s | {mine / theirs:.2f}"
    return [f"| pack BERT, 2 layers, no proof | {times} | ≤ {_GOAL:g} s | {kept} |"]


def _torch_package(model: torch.nn.Module, folder: Path) -> float:
    from torch.package import PackageExporter

    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PackageExporter(folder / "bert.pt") as exporter:
            exporter.intern(["transformers.**", "huggingface_hub.**", "tqdm.**", "packaging.**"])
            exporter.extern("**", exclude="torch.**")
            exporter.save_pickle("model", "model.pkl", model)
    return time.perf_counter() - started
