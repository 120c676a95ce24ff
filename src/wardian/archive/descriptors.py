"""What Linux tells of an open file beyond its status; other systems do not know it."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["begin_writeback", "generation", "tells_changes"]

_IN_MEMORY = {
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x958458F6: "hugetlbfs",
}
"""File systems that set no times when a file is changed through a mapping (`man 2 statfs`): their `vm_ops`
have no `page_mkwrite`, https://github.com/torvalds/linux/blob/v6.12/mm/shmem.c."""
_LARGER_THAN_STATFS = 256
_GET_VERSION = 0x80007601 | ctypes.sizeof(ctypes.c_long) << 16
"""FS_IOC_GETVERSION, `man 2 ioctl_iflags`."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE."""


def tells_changes(descriptor: int | None) -> bool:
    """Tell whether every change of an open file sets its times."""
    if descriptor is None:
        return False
    function = _function("fstatfs", ctypes.c_int, ctypes.c_void_p)
    if function is None:
        return True
    facts = ctypes.create_string_buffer(_LARGER_THAN_STATFS)
    if function(descriptor, facts) != 0:
        return False
    kind = int.from_bytes(facts.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder)
    return kind & 0xFFFFFFFF not in _IN_MEMORY


def generation(descriptor: int) -> int:
    """Return the number that tells a file from earlier ones of its inode; 0 where there is none."""
    if sys.platform.startswith("linux") and fcntl is not None:
        with contextlib.suppress(OSError):
            answer = fcntl.ioctl(descriptor, _GET_VERSION, bytes(ctypes.sizeof(ctypes.c_long)))
            return int.from_bytes(answer[:4], sys.byteorder)
    return 0


def begin_writeback(descriptor: int | None, offset: int = 0, size: int = 0) -> None:
    """Let the system write a part of a file to the disk meanwhile; if *size* is 0, all from *offset* on."""
    function = _function("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    if function is not None and descriptor is not None:
        function(descriptor, offset, size, _WRITE)  # a hint, so that failing is fine


@cache
def _function(name: str, *types: Any) -> Callable[..., Any] | None:
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function.argtypes = types
    return function
