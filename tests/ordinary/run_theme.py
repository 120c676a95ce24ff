"""Child process: run the checks of a theme, on the installed library or on the packed one.

    python -P run_theme.py installed|packed FOLDER THEME [CHECK...]

Prints one JSON object: check → null, or the traceback of what went wrong.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def main(kind: str, folder: Path, theme: Path, wanted: list[str]) -> dict[str, str | None]:
    """Run the checks of *theme*, each whatever became of the others."""
    checks: dict[str, Callable[[], None]] = {}

    def check(function: Callable[[], None]) -> Callable[[], None]:
        checks[function.__name__] = function
        return function

    def load() -> Any:
        if kind == "installed":
            return torch.load(folder / "orchard.pt", weights_only=False)
        import wardian

        return wardian.load(folder / "orchard.case")

    prefix = "" if kind == "installed" else type(load()).__module__.removesuffix("orchard.model")

    def lib(name: str) -> Any:
        return importlib.import_module(f"{prefix}orchard.{name}".rstrip("."))

    names: dict[str, Any] = {
        "__name__": "theme",
        "__file__": str(theme),
        "check": check,
        "load": load,
        "lib": lib,
        "prefix": prefix,
        "packed": kind == "packed",
        "folder": folder,
        "case": folder / "orchard.case",
    }
    exec(compile(theme.read_text(), theme, "exec"), names)
    results: dict[str, str | None] = {}
    for name, function in checks.items():
        if wanted and name not in wanted:
            continue
        try:
            function()
            results[name] = None
        except Exception:  # noqa: BLE001  reported by the test
            results[name] = traceback.format_exc()
    return results


if __name__ == "__main__":
    place = Path(sys.argv[2])
    found = main(sys.argv[1], place, Path(sys.argv[3]), sys.argv[4:])
    print(json.dumps(found), flush=True)
    os._exit(0)
