"""Write and read weights with each library in turn: a process for every run, warmed up on something small.

    python -m benchmarks.tensors WORK LIBRARY STATE FILE

is such a process. It prints seconds, and the MB by which its memory grew at most (writing) or in the end
(reading). Files are in the page cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

State = Mapping[str, torch.Tensor]

STATES: dict[str, Callable[[], State]] = {
    "47 MB in 122 tensors": lambda: _tensors(122, 96_000),
    "1.2 GB in 72 tensors": lambda: _tensors(72, 4_200_000),
    "1,000 tensors of 256 bytes": lambda: _tensors(1_000, 64),
    "100,000 tensors of 256 bytes": lambda: _tensors(100_000, 64),
}
LIBRARIES = ("wardian", "raw", "torch", "safetensors", "torch.package")
SHOWN = {"raw": "raw write, fsync", "torch": "torch.save, load(mmap)"}
_REPEAT = {"wardian": 2}
"""The first reading checks the weights; what counts is the second."""


def _tensors(count: int, elements: int) -> State:
    return {f"layer{number}.weight": torch.full((elements,), float(number)) for number in range(count)}


def measure(folder: Path, runs: int) -> list[str]:
    """Return the rows of two Markdown tables, for writing and for reading."""
    rows = []
    for work, others in (("write", LIBRARIES), ("read", tuple(x for x in LIBRARIES if x != "raw"))):
        names = [SHOWN.get(name, name) for name in others]
        rows += ["", f"| {work} | " + " | ".join(names) + " |", "|---" * (len(others) + 1) + "|"]
        for state in STATES:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in others}
            for _ in range(runs):
                for name in others:
                    found[name].append(_in_process(work, name, state, folder))
            rows.append(f"| {state} | " + " | ".join(_cell(found, name) for name in others) + " |")
    return rows


def _cell(found: Mapping[str, list[tuple[float, float]]], name: str) -> str:
    seconds = statistics.median(seconds for seconds, _ in found[name])
    memory = statistics.median(memory for _, memory in found[name])
    ratio = ""
    if name != "wardian":
        pairs = zip(found["wardian"], found[name], strict=True)
        ratio = f", ours is {statistics.median(a / b for (a, _), (b, _) in pairs):.2f} of it"
    return f"{seconds:.3f} s, +{memory:.0f} MB{ratio}"


def _in_process(work: str, library: str, state: str, folder: Path) -> tuple[float, float]:
    path = folder / f"{library}-{list(STATES).index(state)}"
    environment = os.environ | {"WARDIAN_CACHE": str(folder / "cache")}
    for _ in range(_REPEAT.get(library, 1) if work == "read" else 1):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.tensors", work, library, state, str(path)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def _write(library: str, state: State, path: Path) -> None:
    if library == "wardian":
        import wardian

        wardian.pack(state, path, prove=False)
    elif library == "raw":
        with path.open("wb") as file:
            for tensor in state.values():
                file.write(tensor.numpy())
            file.flush()
            os.fsync(file.fileno())
    elif library == "torch":
        torch.save(state, path)
    elif library == "safetensors":
        from safetensors.torch import save_file

        save_file(dict(state), path)
    else:
        from torch.package import PackageExporter  # type: ignore[attr-defined]

        with PackageExporter(path) as exporter:
            exporter.save_pickle("model", "model.pkl", state)


def _read(library: str, path: Path) -> State:
    found: State
    if library == "wardian":
        import wardian

        found = wardian.load(path)  # type: ignore[assignment]
    elif library == "torch":
        found = torch.load(path, mmap=True, weights_only=True)
    elif library == "safetensors":
        from safetensors.torch import load_file

        found = load_file(path)
    else:
        from torch.package import PackageImporter  # type: ignore[attr-defined]

        found = PackageImporter(path).load_pickle("model", "model.pkl")
    return found


def _memory(field: str) -> float:
    """Return a figure of this process in MB: VmRSS, what is resident; VmHWM, the most that was."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024


def main(work: str, library: str, state: str, path: Path) -> None:
    """Do one piece of work and print its figures."""
    small = path.with_name(f"{path.name}-small")
    _write(library, {"weight": torch.ones(3)}, small)
    if work == "write":
        tensors = STATES[state]()
        before = _memory("VmRSS")
        started = time.perf_counter()
        _write(library, tensors, path)
        print(json.dumps([time.perf_counter() - started, max(0.0, _memory("VmHWM") - before)]))
    else:
        _read(library, small)
        before = _memory("VmRSS")
        started = time.perf_counter()
        found = _read(library, path)
        seconds = time.perf_counter() - started
        print(json.dumps([seconds, max(0.0, _memory("VmRSS") - before)]))
        del found


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4]))
