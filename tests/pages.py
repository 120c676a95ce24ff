"""How the blocks of a page run: Python and shell in the page's folder, and the output that the page shows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from sybil import Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from sybil.typing import Parser

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

_FILE = re.compile(r"# (?P<name>\w+\.py)\n")
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,}(?![0-9A-Za-z])|\d[\d.,]*")
_OUTPUT, _BROUGHT = "_output", "_brought"


def run_python(example: Example) -> None:
    """Run a block and keep what it prints; one that begins with `# NAME.py` is written to that file."""
    _bring_files(example)
    text = str(example.parsed)
    named = _FILE.match(text)
    if named:
        Path(named["name"]).write_text(text, encoding="utf-8")
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        PythonEvaluator()(example)
    _keep(example, printed.getvalue())


def run_shell(example: Example) -> None:
    """Run a block by bash, which stops at the first command that fails, and keep what it prints."""
    _bring_files(example)
    variables = dict(os.environ)
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    # Pages are 80 columns wide, and show what this tree does, whatever is installed.
    variables |= {"COLUMNS": "80", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", str(example.parsed)],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    _keep(example, done.stdout)


def compare_output(example: Example) -> None:
    """Compare a block of text with what the block before it has printed: all but numbers and spaces."""
    assert _OUTPUT in example.namespace, "no block before it has printed this; if it is no output, skip it"
    shown, found = plain(str(example.parsed)), plain(example.namespace.pop(_OUTPUT))
    assert shown == found, "\n".join(["the page shows", *shown, "but it is", *found])


def _bring_files(example: Example) -> None:
    """Copy what lies beside the page of an example into the page's folder, before its first block."""
    beside = Path(example.path).parent
    if EXAMPLES in beside.parents and not example.namespace.setdefault(_BROUGHT, False):
        shutil.copytree(beside, ".", dirs_exist_ok=True)
        example.namespace[_BROUGHT] = True


def _keep(example: Example, printed: str) -> None:
    # The folder of a page is another one each time; its reader's is in their home.
    example.namespace[_OUTPUT] = printed.replace(os.getcwd(), "/home/you")
    print(printed)


def plain(text: str) -> list[str]:
    """Return the lines of a text with 0 in place of each number, size and digest, without empty ones."""
    lines = (" ".join(_NUMBER.sub("0", line).split()) for line in text.splitlines())
    return [line for line in lines if line]


def parsers() -> list[Parser]:
    """Return what finds the blocks of a page, and those to leave out."""
    return [
        CodeBlockParser("python", run_python),
        CodeBlockParser("sh", run_shell),
        CodeBlockParser("text", compare_output),
        SkipParser(),
    ]
