"""The command `wardian` where output goes to no ordinary terminal, and names are no ordinary text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import SOURCE, write_case
from wardian.cli.app import COMPLETION, run
from wardian.cli.output import printable

SOURCES = {f"grove/tree{number}.py": "import os\nos.system('x')\n" for number in range(400)}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("streams") / "grove.case", SOURCES)


def _wardian(*words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)} | options.pop("env", {})
    command = [os.fsencode(word) for word in (sys.executable, "-m", "wardian", *map(str, words))]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        command, env=environment, check=False, timeout=60, **streams
    )
    return done


@pytest.mark.parametrize("words", ["ls", "audit --all", "audit --json", "info"])
def test_a_pipe_that_closes_early_is_no_failure(words: str, case: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = _wardian(*words.split(), case, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_streams_are_no_failure(case: Path) -> None:
    shell = '"$0" -m wardian info "$1" >&- && "$0" -m wardian cat "$1" grove/tree1.py >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, case],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is full")
def test_a_full_disk_is_told(case: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = _wardian("info", case, stdout=full)
    assert (done.returncode, done.stderr) == (2, b"error: No space left on device\n")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "utf-8:strict"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C.UTF-8"},
    ],
)
def test_names_that_the_terminal_has_no_letters_for_are_shown_all_the_same(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = write_case(
        tmp_path / os.fsdecode("größe\n \udcff.case".encode("utf-8", "surrogateescape")),
        {"übung.py": "x = 1\n"},
        metadata={"note": "模型"},
    )
    done = _wardian("info", path, "--json", env=environment)
    if done.stderr.startswith(b"Fatal Python error: init_import_site") and not __file__.isascii():
        pytest.skip("with these variables Python does not start where such a path is installed")
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout.decode())
    assert found["path"] == str(path)
    assert found["metadata"] == {"note": "模型"}
    done = _wardian("ls", path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_a_terminal_obeys_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[2J\rb\x9bc\u202ed\te") == r"a\x1b[2J\rb\x9bc\u202ed" + "\te"
    path = write_case(tmp_path / "grove\x1b[31m.case", pickle=b"\x80\x04\x8c\x04e\x1b[1\x8c\x01x\x93.")
    for words in ("info", "audit", "verify", "ls"):
        run([words, str(path)])
    out, err = capsys.readouterr()
    assert r"e\x1b[1" in out
    assert "\x1b" not in out + err


def test_errors_are_one_block_and_debug_shows_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orchard.py").write_text("def build():\n    raise LookupError('no tree')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "orchard", None)  # what the command imports goes again
    del sys.modules["orchard"]
    words = ["plan", "orchard.py:build"]
    assert run(words) == 2
    assert capsys.readouterr().err == "error: LookupError: no tree\n  wardian --debug ... shows where\n"
    for debugging in (["--debug", *words], [*words, "--debug"]):
        assert run(debugging) == 2
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert "orchard.py" in err
    assert run(["info"]) == 2
    assert capsys.readouterr().err == "error: Missing argument 'FILE'.\n  help: wardian info --help\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_completions(shell: str) -> None:
    done = _wardian(env={COMPLETION: f"{shell}_source"})
    assert done.returncode == 0
    assert b"wardian" in done.stdout
    words = {"COMP_WORDS": "wardian re", "COMP_CWORD": "re" if shell == "fish" else "1"}
    done = _wardian(env={COMPLETION: f"{shell}_complete", **words})
    assert b"report" in done.stdout
    assert b"requirements" in done.stdout
