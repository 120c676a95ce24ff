"""Cases and wardian.package against torch.package: torchvision's resnet18 in a process where torch is warm.

Each export and each load runs in a process of its own, the libraries in turn, because what one run imports
the next would find.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import Comparison, Row

_LIBRARIES = ("wardian", "wardian.package", "torch.package")

_OUTSIDE = "numpy PIL PIL.Image torch.fx wardian.live wardian.tensors.storages"
"""What loading the case imports beside its own modules."""

_EXPORT = """
import importlib, json, sys, time, torch, torchvision
package = importlib.import_module(sys.argv[1])
model = torchvision.models.resnet18().eval()
start = time.perf_counter()
if sys.argv[1] == "wardian":
    package.pack(model, sys.argv[2], inputs=(torch.zeros(1, 3, 64, 64),))
else:
    with package.PackageExporter(sys.argv[2]) as e:
        # torch.package cannot do without the first rule.
        e.extern(["numpy.**", "PIL.**", "sys", "io", "torchvision._C", "torchvision.image"])
        e.intern("**")
        e.save_pickle("model", "model.pkl", model)
print(json.dumps({"export": time.perf_counter() - start}))
"""

_LOAD = """
import importlib, json, sys, time, torch
package = importlib.import_module(sys.argv[1])
def load(path):
    if sys.argv[1] == "wardian":
        return package.load(path)
    return package.PackageImporter(path).load_pickle("model", "model.pkl")
def memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024 / 1e6
# A warm process: the library itself is imported, and all that lies outside of the package.
for name in sys.argv[3].split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass
before = memory()
start = time.perf_counter()
model = load(sys.argv[2])
loaded = time.perf_counter() - start
after = memory()
start = time.perf_counter()
again = load(sys.argv[2])
print(json.dumps({"load": loaded, "memory": after - before, "again": time.perf_counter() - start}))
"""


def measure(folder: Path, runs: int) -> list[Row]:
    """Export and load the model *runs* times with each library."""
    figures: dict[tuple[str, str], list[float]] = {}
    for number in range(runs + 1):
        for library in _LIBRARIES:
            path = folder / f"{library}.resnet18"
            found = _run(_EXPORT, library, path)
            if library != "wardian":
                externs = _externs(path)
            outside = externs if library != "wardian" else _OUTSIDE
            # The first load of a file on a machine checks it, and the later ones need not.
            found["first"] = _run(_LOAD, library, path, outside)["load"]
            found |= _run(_LOAD, library, path, outside)
            if number:  # the first fills caches
                for key, value in found.items():
                    figures.setdefault((library, key), []).append(value)

    def row(what: str, key: str, ours: str, target: float | None = None, unit: str = "s") -> Row:
        mine, theirs = tuple(figures[ours, key]), tuple(figures["torch.package", key])
        return Comparison(what, "torch.package", mine, theirs, target, unit=unit)

    rows = [
        row("load resnet18, 47 MB, in a warm process, checked before", "load", "wardian", 0.5),
        row("the first load of resnet18, check included", "first", "wardian"),
        row("load resnet18 once more in that process", "again", "wardian"),
        row("memory that loading resnet18 takes", "memory", "wardian", unit="MB"),
    ]
    for what, key, target in (
        ("export", "export", 1.0),
        ("load", "load", 0.5),
        ("first load", "first", None),
    ):
        rows.append(row(f"resnet18 with wardian.package: {what}", key, "wardian.package", target))
    return rows


def _externs(path: Path) -> str:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("extern_modules"))
        return archive.read(name).decode()


def _run(script: str, *arguments: object) -> dict[str, float]:
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"WARDIAN_CACHE": str(Path(str(arguments[1])).with_name("cache"))},
    )
    return {key: float(value) for key, value in json.loads(process.stdout).items()}
