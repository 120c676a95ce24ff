"""Code that has source is captured by every supported Python, and what one captured another loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import packaging
import pytest

_ROOT = Path(__file__).parents[2]

CAPTURE = """
import json, sys
from tests.unit.capture.transplant import execute, take
made = execute('''
import functools, dataclasses, math
SCALE = 2
values = {"shift": 1}

@dataclasses.dataclass
class Config:
    size: int = SCALE

def make(by):
    class Local:
        def run(self, x):
            return super().__hash__() * 0 + x * by + SCALE
    return Local(), lambda x, f=by: [f * x for _ in range(2)], functools.partial(lambda a, b: a - b, by)

class Net:
    config: Config = Config()
    def __init__(self):
        self.local, self.act, self.partial = make(3)
    def run(self, x):
        return self.local.run(x) + sum(self.act(x)) + self.partial(1) + self.config.size + values["shift"]
''')
data, capture = take(made["Net"]())
assert not capture.bytecode, capture.bytecode
json.dump([data.hex(), {n: [m.source, m.is_package, m.file] for n, m in capture.modules().items()}], open(sys.argv[1], "w"))
"""

LOAD = """
import json, sys
from tests.unit.capture.transplant import find_global, installed
from wardian.pickling.unpickler import unpickle
data, sources = json.load(open(sys.argv[1]))
with installed(sources):
    net = unpickle(bytes.fromhex(data), find_global=find_global, persistent_load=None)
    assert net.run(5) == 17 + 30 + 2 + 2 + 1, net.run(5)
"""


def _python(version: str) -> str | None:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    # pyenv puts a `python3.12` on the path that fails where it is not the chosen one.
    of_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv"), "versions").expanduser()
    for found in (shutil.which(f"python{version}"), *of_pyenv.glob(f"{version}.*/bin/python")):
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(found)
    return None


def _run(python: str, code: str, file: Path, libraries: Path) -> None:
    path = os.pathsep.join(map(str, (_ROOT / "src", _ROOT, libraries)))
    done = subprocess.run(
        [python, "-P", "-c", code, str(file)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("loader", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("capturer", ["3.11", "3.12", "3.13"])
def test_captured_here_loaded_there(capturer: str, loader: str, tmp_path: Path) -> None:
    pythons = [_python(version) for version in (capturer, loader)]
    if pythons[0] is None or pythons[1] is None:
        pytest.skip("this Python is not installed")
    (tmp_path / "libraries").mkdir()
    shutil.copytree(Path(packaging.__file__).parent, tmp_path / "libraries" / "packaging")
    _run(pythons[0], CAPTURE, tmp_path / "captured.json", tmp_path / "libraries")
    _run(pythons[1], LOAD, tmp_path / "captured.json", tmp_path / "libraries")
