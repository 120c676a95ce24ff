"""Pack the models of `factories` by one call each, load them where their library cannot be imported.

    python -m tests.survey.run FOLDER [NAME...]

prints one row of a Markdown table for each. The libraries are those that are installed; a factory that
fails says so. It is no part of the tests: together the libraries take gigabytes, and new releases do not
fit each other.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

_SECONDS = 300


def main(folder: Path, names: list[str]) -> None:
    """Survey the models, each in processes of its own."""
    from tests.survey.factories import FACTORIES

    folder.mkdir(parents=True, exist_ok=True)
    print("| model | library | outcome | pack | load | size |\n|---|---|---|---|---|---|", flush=True)
    for name in names or list(FACTORIES):
        libraries = FACTORIES[name][1]
        facts = _in_process("pack", name, folder)
        outcome = str(facts.get("error", ""))
        if not outcome:
            loaded = _in_process("load", name, folder)
            outcome = f"does not load: {loaded['error']}" if "error" in loaded else str(loaded["check"])
            facts |= loaded
        figures = [_figure(facts, key, unit) for key, unit in (("pack", "s"), ("load", "s"), ("size", "MB"))]
        print(f"| {name} | {_release(libraries[0])} | {outcome[:200]} | {' | '.join(figures)} |", flush=True)


def _figure(facts: dict[str, Any], key: str, unit: str) -> str:
    return f"{facts[key]:.1f} {unit}" if key in facts else ""


def _release(top: str) -> str:
    owners = importlib.metadata.packages_distributions().get(top, [])
    return f"{owners[0]} {importlib.metadata.version(owners[0])}" if owners else f"{top}, not installed"


def _in_process(step: str, name: str, folder: Path) -> dict[str, Any]:
    environment = {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "agg",
        "WARDIAN_CACHE": str(folder),
    }
    log = folder / f"{name}.{step}.txt"
    with log.open("w") as output:
        try:
            subprocess.run(
                [sys.executable, "-m", "tests.survey.run", f"--{step}", name, str(folder)],
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"takes more than {_SECONDS} s"}
    lines = log.read_text().splitlines() or [""]
    try:
        facts: dict[str, Any] = json.loads(lines[-1])
    except ValueError:
        return {"error": lines[-1]}
    return facts


def _pack(name: str, folder: Path) -> dict[str, Any]:
    import torch

    import wardian
    from tests.survey.factories import FACTORIES

    torch.manual_seed(0)
    try:
        model, inputs = FACTORIES[name][0]()
    except Exception as error:  # noqa: BLE001  of any library
        return {"error": f"the factory fails: {type(error).__name__}: {error}".splitlines()[0]}
    path = folder / f"{name}.case"
    started = time.perf_counter()
    try:
        wardian.pack(model, path, inputs=inputs)
    except wardian.WardianError as error:
        print(error)
        return {"error": str(error).splitlines()[0]}
    return {"pack": time.perf_counter() - started, "size": path.stat().st_size / 1e6}


def _load(name: str, folder: Path) -> dict[str, Any]:
    import wardian
    from tests.survey.factories import FACTORIES

    sys.meta_path.insert(0, _Blocker(FACTORIES[name][1]))
    started = time.perf_counter()
    with wardian.open(folder / f"{name}.case") as case:
        case.load()
        seconds = time.perf_counter() - started
        tested = case.manifest.entries[0].test is not None
        return {"load": seconds, "check": str(case.check()).partition(": ")[2] if tested else "loads"}


class _Blocker:
    """A finder that finds that a library is not there."""

    def __init__(self, libraries: tuple[str, ...]) -> None:
        self._libraries = libraries

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse modules of the library; None for others."""
        if name.partition(".")[0] in self._libraries:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1].startswith("--"):
        work = _pack if sys.argv[1] == "--pack" else _load
        try:
            print(json.dumps(work(sys.argv[2], Path(sys.argv[3]))))
        except Exception as error:  # noqa: BLE001  becomes a row of the table
            print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]}))
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
