"""Pack the models of `factories` by one call each, load them where their library cannot be imported.

    python -m tests.survey.run FOLDER [NAME...]

prints one row of a Markdown table for each, and adds its facts to `FOLDER/rows.jsonl`. The model is called
before it is packed, and what the loaded one returns in a new process is compared with that, too. Neither a
module nor a file of the library can be opened there, and whatever packing warns of is an error. The libraries
are those that are installed; a factory that fails says so. It is no part of the tests: together the libraries
take gigabytes, and new releases do not fit each other.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
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
        if importlib.util.find_spec(libraries[0]) is None:
            continue
        facts = _in_process("pack", name, folder)
        outcome = str(facts.get("error", ""))
        if not outcome:
            loaded = _in_process("load", name, folder)
            outcome = f"does not load: {loaded['error']}" if "error" in loaded else str(loaded["check"])
            facts |= loaded
        figures = [_figure(facts, key, unit) for key, unit in (("pack", "s"), ("load", "s"), ("size", "MB"))]
        facts |= {"model": name, "library": _release(libraries[0]), "outcome": outcome}
        with (folder / "rows.jsonl").open("a") as rows:
            rows.write(json.dumps(facts) + "\n")
        print(f"| {name} | {facts['library']} | {outcome[:200]} | {' | '.join(figures)} |", flush=True)


def _figure(facts: dict[str, Any], key: str, unit: str) -> str:
    return f"{facts[key]:.1f} {unit}" if key in facts else ""


def _release(top: str) -> str:
    owners = importlib.metadata.packages_distributions().get(top, [])
    return f"{owners[0]} {importlib.metadata.version(owners[0])}" if owners else top


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
    lines = log.read_text(errors="replace").splitlines() or [""]
    try:
        facts: dict[str, Any] = json.loads(lines[-1])
    except ValueError:
        return {"error": lines[-1]}
    return facts


def _pack(name: str, folder: Path) -> dict[str, Any]:
    import torch

    import wardian
    from tests.survey.factories import FACTORIES
    from wardian.tensors import selftest

    torch.manual_seed(0)
    try:
        model, inputs = FACTORIES[name][0]()
        if inputs is not None:
            outputs = selftest.run(model, copy.deepcopy(inputs))
            torch.save([_plain(t).clone() for t in _tensors(outputs, [])], folder / f"{name}.expected")
    except Exception as error:  # noqa: BLE001  of any library
        traceback.print_exc()
        return {"error": f"the factory fails: {type(error).__name__}: {error}".splitlines()[0]}
    path = folder / f"{name}.case"
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            wardian.pack(model, path, inputs=inputs)
        except Exception as error:  # noqa: BLE001  any is a row of the table
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"pack": time.perf_counter() - started, "size": path.stat().st_size / 1e6}


def _load(name: str, folder: Path) -> dict[str, Any]:
    import torch

    import wardian
    from tests.survey.factories import FACTORIES
    from wardian.tensors import comparison, selftest

    _block(FACTORIES[name][1])
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with wardian.open(folder / f"{name}.case") as case:
            case.load()
            facts: dict[str, Any] = {"load": time.perf_counter() - started}
            entry = case.manifest.entries[0]
            if entry.test is None:
                facts["check"] = "loads"
            else:
                facts["check"] = str(case.check()).partition(": ")[2]
                inputs = case._unpickle(entry.test)["inputs"]
                actual = _tensors(selftest.run(case.load(), inputs), [])
                expected = torch.load(folder / f"{name}.expected")
                if list(comparison.find_differences(expected, [_plain(t) for t in actual])):
                    facts["check"] += "; differs from the live model"
    facts["warned"] = sorted({f"{w.category.__name__}: {w.message}"[:200] for w in warned})
    return facts


def _plain(tensor: Any) -> Any:
    """Return the values of a tensor whose class cannot be imported where the case is loaded."""
    import torch

    return tensor.detach().as_subclass(torch.Tensor)


def _tensors(value: Any, seen: list[Any]) -> list[Any]:
    """Return the tensors in a value, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if any(value is other for other in seen) or isinstance(value, str | bytes | int | float | type):
        return []
    seen.append(value)
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = [v for _, v in sorted(getattr(value, "__dict__", {}).items())]
    return [tensor for part in parts for tensor in _tensors(part, seen)]


def _block(libraries: tuple[str, ...]) -> None:
    """Let nobody import the libraries, nor open a file of theirs."""
    folders = []
    for library in libraries:
        spec = importlib.util.find_spec(library)
        places = spec.submodule_search_locations if spec else None
        folders += [os.path.join(place, "") for place in places or ()]
    sys.meta_path.insert(0, _Blocker(libraries))

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str):
            for folder in folders:
                if arguments[0].startswith(folder):
                    raise FileNotFoundError(f"{arguments[0]} belongs to a library that is not here")

    sys.addaudithook(audit)


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
            print("\n" + json.dumps(work(sys.argv[2], Path(sys.argv[3]))))
        except Exception as error:  # noqa: BLE001  becomes a row of the table
            traceback.print_exc()
            print("\n" + json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]}))
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
