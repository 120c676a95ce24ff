"""A terminal for tests: what the command prints where a person reads it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.support import SOURCE

__all__ = ["in_terminal"]

_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(
    *words: object, folder: Path, columns: int = 80, colours: bool = False, **environment: str
) -> tuple[int, str]:
    """Run `wardian` in a terminal; return its exit code and what it printed, both streams together.

    Args:
        words: Of the command line, without the name of the program.
        folder: Where it starts, and where its cache is.
        columns: How wide the terminal is.
        colours: Keep the sequences that colour text.
        environment: Changes to the environment variables.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    variables = {
        **known,
        "PYTHONPATH": str(SOURCE),
        "WARDIAN_CACHE": str(folder / "cache"),
        "TERM": "xterm",
        **environment,
    }
    command = [sys.executable, "-m", "wardian", *map(str, words)]
    process = subprocess.Popen(command, cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = bytearray()
    try:
        while part := os.read(ours, 1 << 16):
            printed += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    text = printed.decode().replace("\r\n", "\n")
    return process.wait(), text if colours else _STYLE.sub("", text)
