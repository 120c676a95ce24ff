"""A library, packed once for all themes, and the child processes that use it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
Results = dict[str, str | None]


def _run(*command: str | Path, cwd: Path, paths: tuple[Path, ...] = ()) -> str:
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (_ROOT / "src", *paths))),
        "WARDIAN_CACHE": str(cwd / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    printed, errors = cwd / "printed.txt", cwd / "errors.txt"
    # Not through pipes, whose end a worker that is left behind would keep open.
    with printed.open("w") as stdout, errors.open("w") as stderr:
        done = subprocess.run(
            [sys.executable, "-P", *map(str, command)],
            cwd=cwd,
            env=os.environ | environment,
            stdout=stdout,
            stderr=stderr,
            check=False,
        )
    told = printed.read_text()
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{told}\n{errors.read_text()}"
    return told


@pytest.fixture(scope="session")
def run_theme(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Results]:
    """Run all checks of a theme in one process, when the first of them is asked for."""
    folder = tmp_path_factory.mktemp("ordinary")
    project = folder / "project"
    shutil.copytree(_HERE / "project", project)
    _run(_HERE / "pack_subjects.py", folder, cwd=folder, paths=(project,))

    @functools.cache
    def results(kind: str, theme: str) -> Results:
        place = folder / f"{kind}-{theme}"
        place.mkdir()
        for subject in folder.glob("orchard.*"):
            shutil.copy(subject, place)
        paths = (project,) if kind == "installed" else ()
        printed = _run(
            _HERE / "run_theme.py", kind, place, _HERE / "themes" / f"{theme}.py", cwd=place, paths=paths
        )
        found: Results = json.loads(printed.splitlines()[-1])
        # A child that aborts says why on standard error only.
        told = (place / "errors.txt").read_text()[-4_000:]
        return {
            name: failure and f"{failure}\nstandard error ends with:\n{told}"
            for name, failure in found.items()
        }

    return results
