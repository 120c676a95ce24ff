"""Read resnet18 from an HTTP server on loopback that answers after a while, by each way in turn.

Each figure is of a process of its own, without the time of its imports; the server counts what it is asked
and what it sends. Latency is added to every request; nothing limits the speed.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch
import torchvision

import wardian
from tests.servers import serving

LATENCIES = (0, 20, 100)
"""Milliseconds before each answer."""

_BEGIN = """
import sys, time, io, json, struct, urllib.request
import torch, wardian, safetensors.torch, torchvision
import wardian.loading.case, wardian.tensors.mapping, wardian.archive.remote.opening
import wardian.archive.remote.http
case, pt, st = sys.argv[1:]
def get(url, start=None, stop=None):
    headers = {} if start is None else {"Range": f"bytes={start}-{stop - 1}"}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers)).read()
began = time.perf_counter()
"""
_END = "print(time.perf_counter() - began)"

_BY_RANGE = """
size = struct.unpack("<Q", get(st, 0, 8))[0]
start, stop = json.loads(get(st, 8, 8 + size))["fc.weight"]["data_offsets"]
torch.frombuffer(bytearray(get(st, 8 + size + start, 8 + size + stop)), dtype=torch.float32).sum()
"""

WAYS = (
    ("look", "wardian.open", "with wardian.open(case) as c: len(c.files())"),
    ("look", "download, wardian.open", "with wardian.open(get(case)) as c: len(c.files())"),
    ("one tensor", "wardian.open", "with wardian.open(case) as c: c.tensors['fc.weight'].sum()"),
    (
        "one tensor",
        "safetensors by range",
        _BY_RANGE,
    ),
    ("the model", "wardian.load", "wardian.load(case)"),
    ("the model", "download, wardian.load", "wardian.load(get(case))"),
    (
        "the model",
        "download, torch.load, with torchvision",
        "model = torchvision.models.resnet18()\nmodel.load_state_dict(torch.load(io.BytesIO(get(pt))))",
    ),
    ("the model again", "wardian.load", "wardian.load(case)"),
)
"""What is read, by what, and the lines that do it."""


def measure(folder: Path, runs: int) -> str:
    """Return a table: requests, bytes and seconds of each way, at each latency."""
    model = torchvision.models.resnet18().eval()
    wardian.pack(model, folder / "remote.case", inputs=(torch.zeros(1, 3, 64, 64),), prove=False)
    torch.save(model.state_dict(), folder / "remote.pt")
    safetensors.torch.save_file(model.state_dict(), folder / "remote.safetensors")
    names = [f"remote.{ending}" for ending in ("case", "pt", "safetensors")]
    seconds: dict[tuple[int, int], list[float]] = {}
    counts: dict[int, str] = {}
    with serving(files={name: folder / name for name in names}) as server:
        urls = [server.url(name) for name in names]
        # In turn, so that what else the machine does falls on all.
        for _, latency, number in itertools.product(range(runs), LATENCIES, range(len(WAYS))):
            what, _, lines = WAYS[number]
            with tempfile.TemporaryDirectory(dir=folder) as cache:
                if what.endswith("again"):
                    _run(lines, urls, cache)
                server.latency = latency / 1000
                server.forget()
                seconds.setdefault((number, latency), []).append(_run(lines, urls, cache))
                server.latency = 0.0
            counts[number] = f"{len(server.asked)} | {server.sent / 1e6:.2f} MB"
    rows = []
    for number, (what, way, _) in enumerate(WAYS):
        figures = [f"{statistics.median(seconds[number, latency]):.2f} s" for latency in LATENCIES]
        rows.append(f"| {what} | {way} | {counts[number]} | {' | '.join(figures)} |")
    head = " | ".join(f"{latency} ms" for latency in LATENCIES)
    return (
        f"| what | by | requests | bytes | {head} |\n|---|---|---|---|{'---|' * len(LATENCIES)}\n"
        + "\n".join(rows)
    )


def _run(lines: str, urls: list[str], cache: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + lines + "\n" + _END, *urls],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "WARDIAN_CACHE": cache},
    )
    return float(done.stdout.split()[-1])
