"""Packs each model of the zoo once for all tests, models of one library in one process."""

from __future__ import annotations

import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interpreters import run, without_leaks
from tests.models.zoo import ZOO

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]


@dataclass(frozen=True)
class Nursery:
    """The folder of a session's cases, and the child processes that fill and use it."""

    folder: Path
    wanted: frozenset[str]
    """Names of the zoo that this session tests."""

    def packed(self, name: str) -> Path:
        """Return the case of the model *name*, packing it with its library's other models at first use."""
        library = ZOO[name].blocked[0]
        done = self.folder / f"{library}.done"
        with (self.folder / f"{library}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # each process of pytest-xdist wants it
            if not done.exists():
                done.touch()
                group = [n for n in ZOO if ZOO[n].blocked[0] == library and (n in self.wanted or n == name)]
                self.pack(*group)
        return self.result(name)

    def pack(self, *arguments: str, hash_seed: str | None = None) -> None:
        """Run packer.py with *arguments*, each `NAME` or `NAME=STEM`.

        A hash seed other than that of the other processes is for a new interpreter.
        """
        done = self._run(
            [str(_HERE / "packer.py"), str(self.folder), *arguments],
            paths=[_ROOT / "src", _ROOT, _HERE / "firstparty"],
            hash_seed=hash_seed,
        )
        print(done.stdout)
        assert done.returncode == 0, f"packer.py failed:\n{done.stderr}"

    def result(self, stem: str) -> Path:
        """Return the case called *stem*, or fail with what went wrong when it was packed."""
        error = self.folder / f"{stem}.error"
        if error.exists():
            pytest.fail(f"wardian.pack failed:\n{error.read_text()}", pytrace=False)
        return self.folder / f"{stem}.case"

    def run(self, script: str, *arguments: str, isolated: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a script of this folder, or with `-c` a piece of code, away from every source.

        Args:
            script: Its name.
            arguments: Its arguments, or the code and its arguments.
            isolated: Start an interpreter, in which nothing at all was imported before.
        """
        command = [script if script == "-c" else str(_HERE / script), *arguments]
        return self._run(command, paths=[_ROOT / "src"], isolated=isolated)

    def _run(
        self, command: list[str], *, paths: list[Path], hash_seed: str | None = None, isolated: bool = False
    ) -> subprocess.CompletedProcess[str]:
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        environment = {
            "HF_HUB_OFFLINE": "1",
            "PYTHONHASHSEED": hash_seed or "1",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        return run(
            command,
            folder=elsewhere,
            environment=without_leaks(os.environ) | environment,
            flags=["-P"],
            isolated=isolated or hash_seed is not None,
        )


@pytest.fixture(scope="session")
def nursery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Nursery:
    """Where this session's cases are."""
    wanted = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "nursery"
    folder.mkdir(exist_ok=True)
    return Nursery(folder, frozenset(n for n in wanted if n in ZOO))
