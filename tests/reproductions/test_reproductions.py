"""Code as people have it: a project packs its object by one call, and it works where the project is not.

Each file here is one project. Above its files stand a sentence and the options:

    run: what Python runs, `train.py` otherwise; `-` runs `<stdin>`
    before: a command of the shell that runs first
    path: a folder of the project that is on `sys.path`
    warnings: what becomes of warnings; they are errors otherwise
    encoding: of the files, UTF-8 otherwise
    self-test: no, if the case has none
    again: packing what was loaded gives the same bytes

`check.py` runs where the case is loaded, with `case` and `model`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.interpreters import start, without_leaks
from tests.private_root import tree
from tests.support import SOURCE

PROJECTS = sorted(path.stem for path in Path(__file__).parent.glob("*.txt"))
LOAD = """
import torch, wardian
case = wardian.open("out.case")
model = case.load()
if {again}:
    test = case.manifest.entries[0].test
    inputs = None if test is None else case._unpickle(test)["inputs"]
    wardian.pack(model, "again.case", inputs=inputs)
    with open("out.case", "rb") as first, open("again.case", "rb") as second:
        assert first.read() == second.read(), "packed again, the case is another"
if {test}:
    case.check()
{check}
print("it works")
"""


def _read(name: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    text = Path(__file__).with_name(f"{name}.txt").read_bytes().decode()
    head, _, body = text.partition("\n--- ")
    options: dict[str, list[str]] = {}
    for line in head.split("\n")[1:]:
        key, _, value = line.partition(": ")
        options.setdefault(key, []).append(value)
    return options, tree(f"--- {body}")


def _run(arguments: list[str], folder: Path, options: dict[str, list[str]], stdin: str = "") -> str:
    paths = [SOURCE, *(folder / entry for entry in options.get("path", ()))]
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONWARNINGS": options.get("warnings", ["error"])[0],
        "OMP_NUM_THREADS": "1",
        "PYTHON": sys.executable,
    }
    # One that types is an interpreter: `-i` is a flag.
    if arguments[0] == sys.executable and arguments[1] != "-i" and sys.platform == "linux":
        process = start(
            arguments[1:],
            folder=folder,
            environment=without_leaks(os.environ) | environment,
            stdin=PIPE,
            merged=True,
        )
        printed, _ = process.communicate(stdin)
        assert process.returncode == 0, printed
        return printed
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | environment,
        input=stdin,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", PROJECTS)
def test_it_works_elsewhere(name: str, tmp_path: Path) -> None:
    options, files = _read(name)
    check = files.pop("check.py", "")
    stdin = files.pop("<stdin>", "")
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for path, content in files.items():
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode(options.get("encoding", ["utf-8"])[0]))
        # People write files long before they run them: one of the last two ticks counts as changed since.
        os.utime(file, (time.time() - 5,) * 2)
    project.mkdir(exist_ok=True)
    elsewhere.mkdir()
    for command in options.get("before", ()):
        _run(["sh", "-c", command], project, options)
    _run([sys.executable, *options.get("run", ["train.py"])[0].split()], project, options, stdin)
    (tmp_path / "out.case").rename(elsewhere / "out.case")
    project.rename(tmp_path / "gone")
    script = LOAD.format(test="self-test" not in options, again="again" in options, check=check)
    loading = {key: value for key, value in options.items() if key == "warnings"}
    assert "it works" in _run([sys.executable, "-c", script], elsewhere, loading)
