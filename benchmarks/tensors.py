"""Write and read weights with each library in turn.

Every figure comes from a process of its own, forked from one that has imported all of the libraries, so that
what one run leaves behind, in memory or in caches, does not meet the next. A run on something small goes
before, so that nothing is measured that happens once in a process. Files are in the page cache.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.timing import Comparison, Measured, Row

State = Mapping[str, torch.Tensor]

RESNET, LARGE = "47 MB, resnet18", "1.2 GB, 72 tensors"
SMALL = {count: f"{count:,} tensors of 256 bytes" for count in (1_000, 10_000, 100_000)}
STATES: dict[str, Callable[[], State]] = {
    RESNET: lambda: importlib.import_module("torchvision.models").resnet18().state_dict(),
    LARGE: lambda: _tensors(72, 4_200_000),
    SMALL[1_000]: lambda: _tensors(1_000, 64),
    SMALL[10_000]: lambda: _tensors(10_000, 64),
    SMALL[100_000]: lambda: _tensors(100_000, 64),
}
WRITERS = ("wardian", "torch.package", "torch", "safetensors", "raw write")
READERS = ("wardian", "torch.package", "torch", "safetensors", "wardian, first", "blake3")
_SHOWN = {
    "torch": "torch.save, load(mmap)",
    "wardian, first": "ours, first load",
    "blake3": "blake3, all cores",
}
_PRELOADED = ["torch", "wardian", "wardian.tensors.storages", "torch.package", "safetensors.torch", "blake3"]


def _tensors(count: int, elements: int) -> State:
    return {f"layer{number}.weight": torch.full((elements,), float(number)) for number in range(count)}


class Figure(NamedTuple):
    """What one run took."""

    seconds: float
    memory: float
    """MB beside the model: of writing the most at any moment, of reading what is resident afterwards."""


Figures = dict[tuple[str, str, str], list[Figure]]
"""(write or read, state, library) → the figure of each run."""


def measure(folder: Path, runs: int) -> tuple[list[Row], str]:
    """Return the rows with targets, and tables with all libraries side by side."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED, __name__])
    found: Figures = {}
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as processes:

        def run(work: str, state: str, library: str, path: Path) -> None:
            figure = processes.submit(_work, work, library, state, path).result()
            found.setdefault((work, state, library), []).append(figure)

        for state in STATES:
            path = folder / "weights"
            # Memory that a virtual machine has not used before is slow at first.
            processes.submit(_work, "write", "raw write", state, path).result()
            for number in range(runs):
                for library in (*WRITERS[number % len(WRITERS) :], *WRITERS[: number % len(WRITERS)]):
                    run("write", state, library, path)
                    if library == "wardian":
                        # The first load notes that the file was checked; the peer hashes the same file.
                        run("read", state, "wardian, first", path)
                        run("read", state, "blake3", path)
                    if library in READERS:
                        run("read", state, library, path)
                    # Gone before the next one is written, which then gets the same memory.
                    path.unlink()
    return _with_targets(found), "\n".join(
        [*_table(found, "write", WRITERS), "", *_table(found, "read", READERS)]
    )


def _with_targets(found: Figures) -> list[Row]:
    def times(work: str, state: str, library: str) -> tuple[float, ...]:
        return tuple(figure.seconds for figure in found[work, state, library])

    def against(
        what: str, work: str, state: str, peer: str, target: float, goal: str = "", ours: str = "wardian"
    ) -> Comparison:
        shown = {"torch": "torch.save" if work == "write" else "torch.load(mmap=True)"} | {
            "blake3": _SHOWN["blake3"]
        }
        return Comparison(
            what, shown.get(peer, peer), times(work, state, ours), times(work, state, peer), target, goal
        )

    pack, load = "pack 1.2 GB, digests included, no proof", "load 1.2 GB, checked before"
    rows: list[Row] = [
        against(pack, "write", LARGE, "raw write", 1 / 0.9, "≥ 0.9 of its speed"),
        against(pack, "write", LARGE, "torch", 1 / 1.3, "≥ 1.3 of its speed"),
        against(pack, "write", LARGE, "torch.package", 1.0, "not slower"),
        against(load, "read", LARGE, "torch", 1.5),
        Measured(
            f"{load}: bytes that become resident for each of the weights",
            statistics.median(figure.memory for figure in found["read", LARGE, "wardian"]) / 1210,
            "bytes",
            0.01,
            "0",
        ),
        against(
            "first load of 1.2 GB, check included",
            "read",
            LARGE,
            "blake3",
            1.25,
            "≥ 0.8 of its rate",
            "wardian, first",
        ),
    ]
    for count, state in SMALL.items():
        rows.append(against(f"pack {count:,} small tensors", "write", state, "torch", 1.0))
        rows.append(against(f"load {count:,} small tensors", "read", state, "torch", 1.0))
    for work, verb in (("write", "pack"), ("read", "load")):
        few, many = (times(work, SMALL[count], "wardian") for count in (1_000, 100_000))
        rows.append(
            Comparison(
                f"{verb} 100,000 small tensors",
                "ours, 1,000 of them, 100 times",
                many,
                tuple(100 * seconds for seconds in few),
                1.1,
                "linear: ≤ 1.1",
            )
        )
    return rows


def _table(found: Figures, work: str, libraries: Sequence[str]) -> list[str]:
    names = [_SHOWN.get(name, name) for name in libraries[1:]]
    rows = [f"| {work} | ours | " + " | ".join(names) + " |", "|---" * (len(libraries) + 1) + "|"]
    for state in STATES:
        cells = []
        for name in libraries:
            seconds, memory = (
                statistics.median(side) for side in zip(*found[work, state, name], strict=True)
            )
            pairs = zip(found[work, state, "wardian"], found[work, state, name], strict=True)
            ratio = statistics.median(a.seconds / b.seconds for a, b in pairs)
            shown = f"{seconds:.3f} s" + (f", {ratio:.2f}" if name != "wardian" else "")
            cells.append(shown + (f", +{memory:.0f} MB" if name != "blake3" else ""))
        rows.append(f"| {state} | " + " | ".join(cells) + " |")
    return rows


def _write(library: str, state: State, path: Path) -> None:
    if library == "wardian":
        import wardian

        wardian.pack(state, path, prove=False)
    elif library == "raw write":
        with path.open("wb", buffering=0) as file:
            for tensor in state.values():
                file.write(tensor.numpy().data)
    elif library == "torch":
        torch.save(state, path)
    elif library == "safetensors":
        from safetensors.torch import save_file

        save_file(dict(state), path)
    else:
        from torch.package import PackageExporter  # type: ignore[attr-defined]

        with PackageExporter(path) as exporter:
            exporter.save_pickle("model", "model.pkl", state)


def _read(library: str, path: Path) -> object:
    if library.startswith("wardian"):
        import wardian

        return wardian.load(path)
    if library == "torch":
        return torch.load(path, mmap=True, weights_only=True)
    if library == "safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if library == "blake3":
        from blake3 import blake3

        return blake3(max_threads=blake3.AUTO).update_mmap(path).digest()
    from torch.package import PackageImporter  # type: ignore[attr-defined]

    return PackageImporter(path).load_pickle("model", "model.pkl")


def _work(work: str, library: str, state: str, path: Path) -> Figure:
    """Do one piece of work, in a process of its own."""
    os.environ["WARDIAN_CACHE"] = str(path.with_name("cache"))
    small = path.with_name("small.weights")
    writer = (
        library
        if work == "write"
        else {"wardian, first": "wardian", "blake3": "raw write"}.get(library, library)
    )
    _write(writer, {"weight": torch.ones(3)}, small)
    if work == "write":
        tensors = STATES[state]()
        path.unlink(missing_ok=True)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # forget the peak
        before = _memory("VmRSS")
        started = time.perf_counter()
        _write(library, tensors, path)
        return Figure(time.perf_counter() - started, max(0.0, _memory("VmHWM") - before))
    _read(library, small)
    before = _memory("VmRSS")
    started = time.perf_counter()
    found = _read(library, path)
    seconds = time.perf_counter() - started
    figure = Figure(seconds, max(0.0, _memory("VmRSS") - before))
    del found
    return figure


def _memory(field: str) -> float:
    """Return a figure of this process in MB: VmRSS, what is resident; VmHWM, the most that was."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) * 1024 / 1e6
