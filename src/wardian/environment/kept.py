"""Small files in the cache folder: read within bounds, and written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from wardian.environment.cache import make_private

__all__ = ["read_kept", "write_kept"]


def read_kept(file: Path, most: int) -> bytes:
    """Return the content of a file; nothing if there is none, or none that `write_kept` has written.

    Args:
        file: The file.
        most: The largest number of bytes that it may have.
    """
    try:
        # Whoever opens a pipe would wait for the other end of it.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_size <= most
            return opened.read() if is_ours else b""
    except OSError:
        return b""


def write_kept(file: Path, lines: Iterable[bytes]) -> None:
    """Replace a file as a whole; it stays as it is where that is impossible, for want of space, or of rights.

    Args:
        file: The file, whose folder is made if it is missing.
        lines: What it will have.
    """
    with contextlib.suppress(OSError):
        make_private(file.parent)
        descriptor, name = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.writelines(lines)
            os.replace(name, file)
        except BaseException:  # a full disk, an interrupt
            os.unlink(name)
            raise
