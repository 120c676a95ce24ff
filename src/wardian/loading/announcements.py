"""How child processes find the cases that a parent has open: told by the environment, and by notes on disk.

The environment reaches every process that is started after a case was opened. A worker that was started
before, by a process pool or a fork server, looks for notes of the processes above it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from wardian.environment.cache import cache_folder, make_private, remove_old_notes
from wardian.processes.starting import MARKER_VARIABLE, OPEN_CASES_VARIABLE

__all__ = ["Announced", "announce", "announced", "find_held", "withdraw"]

_MOST = 256
"""Cases in the variable; an environment has little room."""


class Announced(NamedTuple):
    """An announcement that a process makes of a case that it has open."""

    path: Path
    outline: str
    """Tells its archive from others."""
    stamp: str
    """Tells the file from others; empty without one."""
    held: tuple[int, int] | None = None
    """Device and inode of what was opened, by which it is found when the path leads to another file."""


def announce(name: str, case: Announced) -> None:
    """Let child processes find the file of a mount."""
    # Quoted, because a path may have a colon in it.
    entry = b",".join((os.fsencode(case.outline), os.fsencode(case.stamp), os.fsencode(case.path)))
    entries = [*_entries(), f"{name}={quote(entry)}"][-_MOST:]
    os.environ[OPEN_CASES_VARIABLE] = os.pathsep.join(entries)
    note = _note(os.getpid(), name)
    if note is not None:
        with contextlib.suppress(OSError):  # children that exist already are all that need it
            make_private(note.parent)
            remove_old_notes(note.parent)
            facts = {
                "path": str(case.path),
                "outline": case.outline,
                "stamp": case.stamp,
                "started": _started(os.getpid()),
                "file": case.held and list(case.held),
            }
            note.write_text(json.dumps(facts))


def withdraw(name: str) -> None:
    """Undo `announce`."""
    left = [entry for entry in _entries() if not entry.startswith(f"{name}=")]
    if left:
        os.environ[OPEN_CASES_VARIABLE] = os.pathsep.join(left)
    else:
        os.environ.pop(OPEN_CASES_VARIABLE, None)
    note = _note(os.getpid(), name)
    if note is not None:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)


def announced(name: str) -> Announced | None:
    """Return what a process above this one has open as the mount *name*, or None."""
    for entry in _entries():
        known, _, value = entry.partition("=")
        if known == name:
            outline, stamp, path = map(os.fsdecode, unquote_to_bytes(value).split(b",", 2))
            return Announced(Path(path), outline, stamp)
    if MARKER_VARIABLE in os.environ or not _is_worker():  # a clean process finds nothing
        return None
    for _, note in _notes(name):
        return Announced(Path(note["path"]), str(note["outline"]), str(note["stamp"]))
    return None


def find_held(name: str) -> str | None:
    """Return a path of the very file that a process above this one has open as the mount *name*, or None.

    A file can be replaced or removed while it is open; who has it open goes on with it. Linux shows what
    a process holds.
    """
    for process, note in _notes(name):
        with contextlib.suppress(OSError):
            for held in Path(f"/proc/{process}/fd").iterdir():
                if _identity(held) == note.get("file"):
                    return str(held)
    return None


def _notes(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the notes of the processes above that have the mount *name* open, nearest first."""
    for process in _processes_above():
        note = _note(process, name)
        try:
            content = json.loads(note.read_text()) if note is not None else {}
        except (OSError, ValueError):
            continue
        # Numbers of processes are used again.
        if isinstance(content, dict) and content.get("started") == _started(process):
            yield process, content


def _identity(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_dev, status.st_ino]


def _is_worker() -> bool:
    """Tell whether a process pool or the like made this process, which others than it decide to start."""
    workers = sys.modules.get("multiprocessing.process")
    return workers is not None and workers.current_process().name != "MainProcess"


def _entries() -> list[str]:
    return [entry for entry in os.environ.get(OPEN_CASES_VARIABLE, "").split(os.pathsep) if entry]


def _note(process: int, name: str) -> Path | None:
    cache = cache_folder()
    return None if cache is None else cache / "open" / f"{process}.{name}.json"


def _processes_above() -> Iterator[int]:
    process = os.getppid()
    while process > 0:  # number 1, too: in a container it may be the user's program
        yield process
        fields = _fields(process)
        if fields is None:  # no Linux: only the parent is known
            return
        process = int(fields[1])


def _started(process: int) -> str | None:
    fields = _fields(process)
    return None if fields is None else fields[19]


def _fields(process: int) -> list[str] | None:
    """Return what Linux tells of a process from its state on (`man 5 proc_pid_stat`)."""
    try:
        # The name of a process is bytes, and cut off where it is too long.
        status = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
        return status.rpartition(")")[2].split()
    except OSError:
        return None
