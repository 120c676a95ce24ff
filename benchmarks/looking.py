"""How long a look takes, and a signature: nothing runs code; on a case of 1.2 GB with 1,000 tensors."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import Measured, Row, processor_seconds, seconds

_PACK = """
import sys
import torch
import wardian
layers = [torch.nn.Linear(774, 774) for _ in range(500)]
wardian.pack(torch.nn.Sequential(*layers), sys.argv[1], prove=False)
"""

_COMMANDS = (
    "info CASE",
    "ls CASE",
    "ls CASE --tensors",
    "cat CASE model/model.pkl",
    "why CASE torch",
    "diff CASE CASE",
    "requirements CASE",
    "audit CASE",
    "report CASE -o OUT",
    "sbom CASE",
    "extract CASE -C FOLDER model/*",
)

_KEY = """
import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
key = Ed25519PrivateKey.generate()
public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
open(sys.argv[1], "wb").write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
open(sys.argv[2], "wb").write(b"alice@example.com " + public)
"""

_SIGNING = (
    ("wardian.sign", "import sys, wardian; wardian.sign(sys.argv[1], key=sys.argv[2])"),
    (
        "wardian.verify_signatures",
        "import sys, wardian; wardian.verify_signatures(sys.argv[1], signers=sys.argv[3])",
    ),
)
"""Each in a process of its own: what they import is measured, too."""

_TARGET = 0.3
"""Seconds beyond those of an interpreter that does nothing."""
_KINDS = (("", seconds), (", time of processors", processor_seconds))


def measure(folder: Path, runs: int) -> list[Row]:
    """Time each command as a whole process, and an interpreter that does nothing in turn with it."""
    case = str(folder / "looking.case")
    subprocess.run([sys.executable, "-c", _PACK, case], check=True)
    rows: list[Row] = []
    for command in _COMMANDS:
        for kind, measured in _KINDS:
            # One run more: nothing is in the page cache of the first.
            taken = [
                measured(["-m", "wardian", *_words(command, case, folder)]) - measured(["-c", "pass"])
                for _ in range(runs + 1)
            ]
            shown = command.replace("CASE", "FILE")
            what = f"`wardian {shown}`, 1.2 GB, beyond `python -c pass`{kind}"
            rows.append(Measured(what, statistics.median(taken[1:]), "s", _TARGET))
    return rows + _signing(folder, case, runs)


_SIGNING_TARGET = 50.0
"""Milliseconds beyond those of an interpreter that imports Wardian."""


def _signing(folder: Path, case: str, runs: int) -> list[Row]:
    paths = [case, str(folder / "key"), str(folder / "allowed_signers")]
    subprocess.run([sys.executable, "-c", _KEY, *paths[1:]], check=True)
    rows: list[Row] = []
    for name, code in _SIGNING:
        for kind, measured in _KINDS:
            taken = [
                measured(["-c", code, *paths]) - measured(["-c", "import wardian"]) for _ in range(runs + 1)
            ]
            what = f"`{name}`, 1.2 GB, Ed25519, beyond `import wardian`{kind}"
            rows.append(Measured(what, 1000 * statistics.median(taken[1:]), "ms", _SIGNING_TARGET))
    return rows


def _words(command: str, case: str, folder: Path) -> list[str]:
    """Return the words of a command, whose output goes to a place where nothing is yet."""
    new = tempfile.mktemp(dir=folder)  # noqa: S306  a folder of our own
    places = {"CASE": case, "OUT": f"{new}.html", "FOLDER": new}
    return [places.get(word, word) for word in command.split()]
