"""Compare wardian.package with torch.package in one run, as ratios of medians.

    python benchmarks/package.py

Each export and each load runs in a process of its own, the two libraries in turn, because what one run
imports the next would find. The model is torchvision's resnet18.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 5
LIBRARIES = ("torch.package", "wardian.package")

EXPORT = """
import importlib, json, sys, time, torch, torchvision
package = importlib.import_module(sys.argv[1])
model = torchvision.models.resnet18()
start = time.perf_counter()
with package.PackageExporter(sys.argv[2]) as e:
    # torch.package cannot do without the first rule.
    e.extern(["numpy.**", "PIL.**", "sys", "io", "torchvision._C", "torchvision.image"])
    e.intern("**")
    e.save_pickle("model", "model.pkl", model)
print(json.dumps({"export": time.perf_counter() - start}))
"""

LOAD = """
import importlib, json, resource, sys, time, torch
package = importlib.import_module(sys.argv[1])
# Libraries outside of the package cost the same whoever imports them.
for name in package.PackageImporter(sys.argv[2]).extern_modules:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
importer = package.PackageImporter(sys.argv[2])
opened = time.perf_counter()
model = importer.load_pickle("model", "model.pkl")
loaded = time.perf_counter()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start_again = time.perf_counter()
importer.load_pickle("model", "model.pkl")
print(json.dumps({
    "open": opened - start, "load_pickle": loaded - opened, "open and load": loaded - start,
    "load_pickle again": time.perf_counter() - start_again,
    "memory of the load (MB)": (after - before) / 1024,
}))
"""


def run(script: str, library: str, path: Path) -> dict[str, float]:
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, library, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    return {key: float(value) for key, value in json.loads(process.stdout).items()}


def main() -> None:
    figures: dict[str, dict[str, list[float]]] = {library: {} for library in LIBRARIES}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(RUNS):
            for library in LIBRARIES:
                path = Path(folder, f"{library}.pt")
                for script in (EXPORT, LOAD):
                    for key, value in run(script, library, path).items():
                        figures[library].setdefault(key, []).append(value)
    print(f"{'':24}{LIBRARIES[0]:>16}{LIBRARIES[1]:>18}{'ratio':>8}")
    for key in figures[LIBRARIES[0]]:
        theirs, ours = (statistics.median(figures[library][key]) for library in LIBRARIES)
        print(f"{key:24}{theirs:16.3f}{ours:18.3f}{ours / theirs if theirs else float('nan'):8.2f}")


if __name__ == "__main__":
    main()
