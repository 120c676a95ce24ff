"""Child processes: clean ones, where evidence is taken and proof is given, and copies of this one."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from wardian.environment import unpacked
from wardian.errors import PackError

__all__ = [
    "ChildError",
    "MARKER_VARIABLE",
    "OPEN_CASES_VARIABLE",
    "ask_fork",
    "main",
    "run_in_clean_process",
]

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
        # The child begins in the same folder, but what is relative to it would be lost after a chdir. Entries
        # that name no place are for a hook: __editable__.mylib-1.0.finder.__path_hook__
        path = [os.path.abspath(entry) if os.path.exists(entry or ".") else entry for entry in sys.path]
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
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is goes to the parent
        told = traceback.format_exception(type(error), error, _without_own_frames(error.__traceback__))
        result = {"error": f"{type(error).__name__}: {error}", "traceback": "".join(told)}
        if (facts := getattr(error, "child_facts", None)) is not None:
            result["facts"] = facts
    Path(request["answer"]).write_text(json.dumps(result))
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of a process full of libraries takes long and can fail; the answer is written.
    os._exit(0)


def _without_own_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    """Return a traceback from the first frame that is not Wardian's; all of it if they all are."""
    own = os.path.join(os.path.dirname(__file__), "")
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(own):
        inner = inner.tb_next
    return trace if inner is None else inner


def ask_fork(work: Callable[[], str], seconds: float) -> str | None:
    """Call *work* in a copy of this process, in which nothing that it does, prints or writes meets this one.

    Args:
        work: Must need no thread of this process: the copy has only the one that calls.
        seconds: How long to wait for it.

    Returns:
        What it returned; None if it raised, died, took longer, or the platform has no safe `fork`.
    """
    if not hasattr(os, "fork") or sys.platform == "darwin":  # its frameworks do not survive one
        return None
    reading, writing = os.pipe()
    try:
        # Python 3.12 and newer warn of other threads.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if child == 0:
        _answer(work, writing)
    os.close(writing)
    try:
        return _read_answer(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # somebody has waited for all children
            os.waitpid(child, 0)


def _answer(work: Callable[[], str], writing: int) -> NoReturn:
    """Be the copy: do the work, write the answer, and end without anything that an exit would run."""
    try:
        import resource  # which is there wherever `fork` is

        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        # Files that this process has open are those of the other: to write to one is an error.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(work().encode() + _END)
    finally:
        os._exit(0)


_END = b"\0"
"""Ends an answer: other copies, of other threads, may hold the pipe open."""


def _read_answer(reading: int, until: float) -> str | None:
    answer = b""
    while select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(reading, 1 << 16)
        answer += part
        if answer.endswith(_END):
            return answer.removesuffix(_END).decode()
        if not part:
            break
    return None
