"""Child process: build models of the zoo, pack them, and keep what they were called with and returned.

    python packer.py FOLDER NAME[=STEM]...

For each NAME, FOLDER gets `STEM.case` and for loader.py `STEM.pt` and `STEM.json`; or, if anything fails,
`STEM.error`. One model that fails does not stop the next.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

import wardian
from tests.models.loader import call, describe
from tests.models.zoo import ZOO


def pack(folder: Path, name: str, stem: str) -> None:
    """Build, run and pack the model *name* of the zoo."""
    entry = ZOO[name]
    specimen = entry.build()
    model: Any = specimen.model
    with torch.no_grad():
        expected = describe(call(model, specimen.inputs))
        generated = describe(model.generate(**specimen.generate)) if specimen.generate else None
    started = time.perf_counter()
    wardian.pack(model, folder / f"{stem}.case", inputs=specimen.inputs)
    print(f"{name}: packed in {time.perf_counter() - started:.1f} s", flush=True)
    torch.save(
        {
            "inputs": specimen.inputs,
            "expected": expected,
            "generate": specimen.generate,
            "generated": generated,
        },
        folder / f"{stem}.pt",
    )
    folders = [path for package in entry.blocked for path in importlib.import_module(package).__path__]
    (folder / f"{stem}.json").write_text(json.dumps({"blocked": entry.blocked, "folders": folders}))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for argument in sys.argv[2:]:
        name, _, stem = argument.partition("=")
        try:
            pack(target, name, stem or name)
        except Exception:  # noqa: BLE001 - the test of this model reports it
            (target / f"{stem or name}.error").write_text(traceback.format_exc())
