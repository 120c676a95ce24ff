"""Clean child processes: where evidence is taken and proof is given."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wardian.environment import unpacked
from wardian.errors import PackError

__all__ = ["ChildError", "MARKER_VARIABLE", "OPEN_CASES_VARIABLE", "main", "run_in_clean_process"]

OPEN_CASES_VARIABLE = "WARDIAN_OPEN_CASES"
"""Environment variable by which child processes find the cases their parent has open: `name=path` entries."""

MARKER_VARIABLE = "WARDIAN_CLEAN_PROCESS"
"""Environment variable of clean processes."""

_BOOT = """\
import json, sys
with open(sys.argv[2]) as file:
    sys.path[:] = json.load(file)["sys_path"]
from wardian.child import main
main(sys.argv[1], sys.argv[2])
"""


class ChildError(Exception):
    """The work of a clean process failed.

    Attributes:
        summary: The last line of its traceback.
        output: All it printed.
        facts: What the error had as `child_facts`, which must be JSON-able; empty without.
    """

    def __init__(self, summary: str, output: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(summary, output)
        self.summary = summary
        self.output = output
        self.facts = dict(facts or {})


def run_in_clean_process(work: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run `work(request)` in a new interpreter with this one's `sys.path`.

    Args:
        work: Dotted name of a function that takes and returns a JSON-able dictionary.
        request: Its argument.

    Raises:
        ChildError: if the function raised or the process died.
        PackError: if this is a clean process itself: it would start the next one, and so on for ever.
    """
    if MARKER_VARIABLE in os.environ:
        raise PackError(
            "wardian.pack or wardian.plan was called by code that is imported to load the object; "
            'put the call under: if __name__ == "__main__":'
        )
    if not sys.executable:
        raise ChildError("sys.executable is empty, so no clean process can be started", "")
    with tempfile.TemporaryDirectory(prefix="wardian-") as folder:
        question, answer, log = (Path(folder, name) for name in ("request.json", "answer.json", "log.txt"))
        # '' means the current folder; the child has the same one, but its own '' would be gone after a chdir.
        path = [os.path.abspath(entry) if entry == "" else entry for entry in sys.path]
        # A ZIP archive is unpacked: what is read in it is seen, and packed, as files are.
        path = [unpacked(entry) for entry in path]
        own = str(Path(__file__).parents[1])
        path = path if own in path else [*path, own]
        environment = {"sys_path": path, "recursion_limit": sys.getrecursionlimit()}
        question.write_text(json.dumps({**request, **environment, "answer": str(answer)}))
        with log.open("wb") as output:
            process = subprocess.run(
                [sys.executable, "-c", _BOOT, work, str(question)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                # The clean process shall find nothing that this one has open.
                env={
                    **{k: v for k, v in os.environ.items() if k != OPEN_CASES_VARIABLE},
                    MARKER_VARIABLE: "1",
                },
            )
        printed = log.read_text(errors="replace")
        if not answer.exists():
            raise ChildError(f"the process ended with status {process.returncode}", printed)
        result: dict[str, Any] = json.loads(answer.read_text())
        if "error" in result:
            raise ChildError(result["error"], printed + result["traceback"], result.get("facts"))
        return result


def main(work: str, question: str) -> None:
    """Do in the child what `run_in_clean_process` asks for."""
    request = json.loads(Path(question).read_text())
    sys.setrecursionlimit(request["recursion_limit"])
    module, _, function = work.rpartition(".")
    try:
        result = getattr(importlib.import_module(module), function)(request)
    except Exception as error:  # noqa: BLE001  whatever it is goes to the parent
        result = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        if (facts := getattr(error, "child_facts", None)) is not None:
            result["facts"] = facts
    Path(request["answer"]).write_text(json.dumps(result))
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of a process full of libraries takes long and can fail; the answer is written.
    os._exit(0)
