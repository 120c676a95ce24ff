"""A process that looks at files in every way there is, and tells what each look took and ended with.

`python -m tests.property.looker` reads a path a line, and answers each with a line of JSON: look → [how it
ended, by how many bytes the memory of the process grew meanwhile].
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

import wardian
from wardian.cli.app import run
from wardian.errors import WardianError
from wardian.loading.case import Case

_FOLDER = tempfile.TemporaryDirectory()


def _case(use: Callable[[Case], object]) -> Callable[[str], object]:
    def look(path: str) -> None:
        with wardian.open(path) as case:
            use(case)

    return look


def _command(*words: str) -> Callable[[str], object]:
    return lambda path: run([path if word == "FILE" else word for word in words])


def _out(name: str) -> str:
    return str(Path(_FOLDER.name, name))


def _use_tensors(case: Case) -> None:
    for name in case.tensors:
        with contextlib.suppress(WardianError):
            case.tensors[name]


LOOKS: dict[str, Callable[[str], object]] = {
    "open": _case(lambda case: (case.manifest, case.files(), repr(case))),
    "environment": _case(Case.environment),
    "tensors": _case(_use_tensors),
    "state_dict": _case(Case.state_dict),
    "export_safetensors": _case(lambda case: case.export_safetensors(_out("one.safetensors"))),
    "verify": _case(Case.verify),
    "requirements": wardian.requirements,
    "wardian info": _command("info", "FILE"),
    "wardian ls": _command("ls", "FILE", "--json"),
    "wardian ls --tensors": _command("ls", "FILE", "--tensors"),
    "wardian cat": _command("cat", "FILE", "model/model.pkl"),
    "wardian verify": _command("verify", "FILE"),
    "wardian requirements": _command("requirements", "FILE", "--soft"),
    "wardian weights": _command("weights", "FILE", "-o", _out("two.safetensors")),
    "wardian why": _command("why", "FILE", "os"),
    "wardian diff": _command("diff", "FILE", _out("other.case")),
    "wardian audit": _command("audit", "FILE", "--all"),
    "wardian report": _command("report", "FILE", "-o", _out("page.html")),
}
CODE = ("wardian why", "wardian diff", "wardian audit", "wardian report")
"""Those that parse code and pickles, or compare texts."""


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def _look(look: Callable[[str], object], path: str) -> tuple[str, int]:
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _peak()
    try:
        code = look(path)
    except WardianError as error:
        end = f"WardianError {type(error).__name__}"
    except Exception as error:  # noqa: BLE001  it is what the test asks about
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_qualname}:{place.tb_lineno}" if place is not None else ""
        end = f"{type(error).__name__}: {str(error)[:200]} in {where}"
    else:
        end = "exit code over 2" if isinstance(code, int) and code > 2 else "done"
    return end, _peak() - before


def main() -> None:
    """Answer until the input ends."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for line in sys.stdin:
        path = line.rstrip("\n")
        found = {}
        for name, look in LOOKS.items():
            with contextlib.redirect_stderr(io.StringIO()):
                found[name] = _look(look, path)
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
