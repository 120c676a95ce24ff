"""Child process: load specimens where their scripts are not, and compare what they return.

    python unpacker.py FOLDER STEM...

For each STEM of which packer.py has made a case, FOLDER gets `STEM.wrong` if anything is.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

import wardian
from tests.models.loader import call, describe, differences


def compare(case: Path) -> list[str]:
    """Load one case and return what is wrong."""
    run = torch.load(case.with_suffix(".pt"), weights_only=False)
    model: Any = wardian.load(case)
    torch.manual_seed(0)
    with torch.no_grad():
        wrong = list(differences(run["expected"], describe(call(model, run["inputs"]))))
    module = sys.modules.get(getattr(model, "__module__", None) or type(model).__module__)
    exec(run["check"], {"model": model, "module": module, "torch": torch, "wardian": wardian, "case": case})
    return wrong


def main(folder: Path, stems: list[str]) -> None:
    """Compare each of *stems*."""
    for stem in stems:
        try:
            wrong = compare(folder / f"{stem}.case")
        except BaseException:  # noqa: BLE001 - the test of this specimen reports it
            wrong = [traceback.format_exc()]
        if wrong:
            (folder / f"{stem}.wrong").write_text("\n".join(wrong))
        sys.stdout.flush()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    main(place, sys.argv[2:])
    os._exit(0)
