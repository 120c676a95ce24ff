"""Landlock: a process gives up files, connections and signals, for itself and all that it starts.

The numbers are those of the kernel's `include/uapi/linux/landlock.h`.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

__all__ = ["NEEDED", "restrict", "version"]

NEEDED = 3
"""The oldest version that will do: before it, files could be cut short through their paths."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights about files each version knows."""
_OF_FILES = 0b1100_0000_0000_0111
"""Those that a single file can have: execute, write, read, truncate, ioctl."""
_EXECUTE = 1
_CONNECTIONS = 0b11
_SCOPES = 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return which version the kernel has; 0 without Landlock."""
    found: int = _libc.syscall(_CREATE, None, 0, 1)
    return max(found, 0)


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Keep this thread, and what it starts, to some paths; connections and signals are given up, too.

    Args:
        read: Files and folders that may be read.
        write: Folders that may also be written.

    Raises:
        OSError: if the kernel refuses.
    """
    kernel = version()
    handled = (1 << _FILES.get(kernel, _FILES[5])) - 1
    attributes = struct.pack(
        "<QQQ", handled, _CONNECTIONS if kernel >= 4 else 0, _SCOPES if kernel >= 6 else 0
    )
    size = 8 if kernel < 4 else 16 if kernel < 6 else 24
    rules = _require(_libc.syscall(_CREATE, attributes, size, 0))
    try:
        for paths, rights in ((read, _READ_FILE | _READ_DIR), (write, handled & ~_EXECUTE)):
            for path in paths:
                _allow(rules, path, rights)
        _require(_libc.syscall(_RESTRICT, rules, 0))
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        _require(_libc.syscall(_ADD, rules, 1, struct.pack("<Qi", rights, place), 0))
    finally:
        os.close(place)


def _require(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
