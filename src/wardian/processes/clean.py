"""Clean processes: new ones that have this one's `sys.path` and nothing of what happened in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wardian.errors import PackError, TimeLimitError
from wardian.processes import templates
from wardian.processes.fence import ALLOWABLE, kind_of
from wardian.processes.folders import work_folder
from wardian.processes.starting import MARKER_VARIABLE, command, environment, read_at_use, search_path
from wardian.processes.templates import Start, StillBeginningError
from wardian.processes.ties import end_group, show_stack

__all__ = ["ChildError", "CleanProcesses", "DEFAULT_LIMIT", "OUTDATED", "Start"]

OUTDATED: Mapping[str, Any] = {"outdated": True}
"""The answer of a process that was begun beforehand, and should begin anew."""

DEFAULT_LIMIT = 1800.0
"""Seconds that a clean process may take."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanProcesses:
    """How the clean processes of one `pack` or `plan` are started, and what they may do."""

    limit: float | None = DEFAULT_LIMIT
    """Seconds that each may take; None for no limit."""
    allow: tuple[str, ...] = ()
    """Permissions of the object's code there: members of `wardian.processes.fence.ALLOWABLE`."""
    isolated: bool = False
    """Each is a new interpreter, and none a fork of a template."""
    as_deep: bool = True
    """They have the recursion limit of this process, and not that of a new one."""
    refused: dict[str, None] = field(default_factory=dict)
    """Acts that code attempted and that were refused, in the order in which they were seen."""
    _reused: list[bool] = field(default_factory=list)
    """Has something in it if one of them began with what an earlier pack had imported."""

    def start_early(self, start: Start) -> None:
        """Begin with what a process of this kind begins with, and do not wait for it."""
        if not self.isolated and MARKER_VARIABLE not in os.environ and sys.executable:
            templates.start_early(start, search_path())

    def forget_reused(self) -> bool:
        """Let the next ones begin anew; tell whether one had begun with what an earlier pack imported."""
        if not self._reused:
            return False
        self._reused.clear()
        templates.forget_further()
        return True

    @contextmanager
    def further_early(self, start: Start, further: Start, request: Mapping[str, Any]) -> Iterator[None]:
        """Have done beforehand, while the block runs, what `run` would have done; do not wait for it.

        Args:
            start: As for `run`.
            further: As for `run`.
            request: What the function of *further* is told.
        """
        if self.isolated or MARKER_VARIABLE in os.environ or not sys.executable:
            yield
            return
        with work_folder() as folder:
            question, log, path = folder / "request.json", folder / "log.txt", search_path()
            question.write_text(json.dumps({**request, **self._told(path, start, further)}))
            with log.open("wb") as output:
                templates.start_further_early(start, further, path, question, output.fileno())
            yield

    def run(
        self,
        work: str,
        request: Mapping[str, Any],
        start: Start | None = None,
        further: Start | None = None,
    ) -> dict[str, Any]:
        """Call `work(request)` in a clean process.

        Args:
            work: Dotted name of a function that takes and returns a JSON-able dictionary. It returns
                `OUTDATED` if what was done beforehand would be done otherwise by now.
            request: Its argument.
            start: What the process begins with, if many begin so.
            further: What may be done beforehand, once for several requests: a function of the request.

        Raises:
            ChildError: if the function raised or the process died.
            TimeLimitError: if it takes longer than the limit.
            PackError: if this is a clean process itself: it would start the next one, and so on for ever.
        """
        if MARKER_VARIABLE in os.environ:
            raise PackError(
                "wardian.pack or wardian.plan was called by code that is imported to load the object; "
                'put the call under: if __name__ == "__main__":'
            )
        if not sys.executable:
            raise ChildError("sys.executable is empty, so no clean process can be started", "")
        with work_folder() as folder:
            question, answer, log = (folder / name for name in ("request.json", "answer.json", "log.txt"))
            path = search_path()
            told = self._told(path, start, further)
            question.write_text(json.dumps({**request, **told, "work": work, "answer": str(answer)}))
            with log.open("wb") as output:
                status = None
                if start is not None and not self.isolated:
                    status = self._run_fork(start, path, question, log, output.fileno(), further)
                if status is None:
                    status = self._run_interpreter(path, question, log, output.fileno())
            printed = log.read_text(errors="replace")
            if not answer.exists():
                raise ChildError(f"the process ended with status {status}", printed)
            result: dict[str, Any] = json.loads(answer.read_text())
            if result.keys() >= OUTDATED.keys():
                templates.forget_further()
                return self.run(work, request, start)
            refused: list[str] = result.pop("refused")
            self.refused.update(dict.fromkeys(refused))
            if "error" in result:
                output = printed + result["traceback"] + _told(refused)
                raise ChildError(result["error"], output, result.get("facts"))
            return result

    def _told(self, path: list[str], start: Start | None, further: Start | None) -> dict[str, Any]:
        """Return what each clean process is told of this one."""
        return {
            "sys_path": path,
            "recursion_limit": sys.getrecursionlimit() if self.as_deep else None,
            "allow": list(self.allow),
            "variables": read_at_use(),
            "umask": _umask(),
            "prepare": None if start is None else [start.prepare, dict(start.arguments)],
            "beginning": None if further is None else further.prepare,
        }

    def _run_fork(
        self, start: Start, path: list[str], question: Path, log: Path, output: int, further: Start | None
    ) -> int | None:
        """Answer the question in a fork of a template, and return its status; None without a template."""
        until = None if self.limit is None else time.monotonic() + self.limit
        try:
            forked = templates.fork(start, path, question, output, until, further)
        except TimeoutError as error:
            if isinstance(error, StillBeginningError):
                show_stack(error.number, log)
                error.template_ends()
            raise self._took_too_long(log) from None
        if forked is None:
            return None
        if forked.is_of_earlier:
            self._reused.append(True)
        with forked:
            status = forked.wait(until)
            if status is None:
                show_stack(forked.number, log)
                raise self._took_too_long(log)
            return status

    def _run_interpreter(self, path: list[str], question: Path, log: Path, output: int) -> int:
        """Answer the question in a new interpreter, and return its status."""
        process = subprocess.Popen(
            command("work", f"{os.getpid()}:{question}", path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            # What it starts is ended with it; and nothing in it can wait for the terminal.
            start_new_session=True,
        )
        how = signal.SIGTERM
        try:
            return process.wait(self.limit)
        except subprocess.TimeoutExpired:
            show_stack(process.pid, log)
            raise self._took_too_long(log) from None
        finally:
            if process.returncode is None:
                how = getattr(signal, "SIGKILL", signal.SIGTERM)
                process.kill()
            end_group(process.pid, how)
            process.wait()

    def _took_too_long(self, log: Path) -> TimeLimitError:
        printed = log.read_text(errors="replace")
        place = _FRAME.search(printed[printed.find(_NEWEST) :])
        where = f"; it was in {place[3]}, {place[1]}, line {place[2]}" if place is not None else ""
        assert self.limit is not None
        return TimeLimitError(
            f"a clean process was not done after {self.limit:g} s{where}"
            "\n  fix: if it waits for something that never comes (a thread, a lock, another process), leave"
            " that out of the object in a __getstate__; if it needs longer, pass limit= in seconds, or None"
            f"\n\n{printed}",
            limit=self.limit,
            output=printed,
        )


def _umask() -> int:
    """Return which rights new files of this process lack."""
    if sys.platform == "linux":  # without setting it, which other threads would see
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    before = os.umask(0o077)
    os.umask(before)
    return before


def _told(refused: list[str]) -> str:
    """Return what was refused before something failed, and the line that allows it."""
    if not refused:
        return ""
    kinds = ", ".join(f'"{kind}"' for kind in ALLOWABLE if any(kind_of(what) == kind for what in refused))
    return (
        "\n".join(f"\nwhile it ran, code wanted to {what}" for what in refused)
        + f"\n  fix: leave that out of what is imported and called; or, if it is meant: allow=({kinds},)\n"
    )


_NEWEST = "most recent call first"
_FRAME = re.compile(r'  File "([^<].*)", line (\d+) in (.+)')
"""A frame of code that has a file, as faulthandler prints it."""
