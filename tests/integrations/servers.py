"""Servers of others that a test starts as a user would, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import SOURCE

__all__ = ["ask", "serving"]

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


@contextmanager
def serving(command: Sequence[str], *, folder: Path) -> Iterator[str]:
    """Run a server until it says at which URL it listens; end it, and what it has started, afterwards.

    Args:
        command: A module that Python runs, and its arguments.
        folder: Where it works.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if found := _RUNNING.search(line):
                yield found[1]
                return
        raise AssertionError(f"the server ended with {process.wait()}:\n{''.join(said)}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.stdout.close()
        process.wait()


def ask(url: str, content: Any) -> Any:
    """Post *content* as JSON; return the answer."""
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
