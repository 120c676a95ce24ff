"""Child process: run specimens as `__main__`, each as a script of its own.

    python packer.py FOLDER SCRIPT...

For `SCRIPT.py` FOLDER gets `SCRIPT.case` and `SCRIPT.pt`, or, if anything fails, `SCRIPT.error`.
"""

from __future__ import annotations

import linecache
import runpy
import sys
import traceback
from pathlib import Path


def main(folder: Path, scripts: list[str]) -> None:
    """Run each of *scripts*."""
    for script in scripts:
        stem = Path(script).stem
        sys.argv = [script, str(folder / f"{stem}.case")]
        linecache.clearcache()
        try:
            runpy.run_path(script, run_name="__main__")
        except BaseException:  # noqa: BLE001 - the test of this specimen reports it
            (folder / f"{stem}.error").write_text(traceback.format_exc())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
