"""Questions about an open file that only Linux answers, beyond its status."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["begin_writeback", "generation", "is_on_network", "nothing_read_ahead", "tells_changes"]

_IN_MEMORY = {
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x958458F6: "hugetlbfs",
}
"""File systems that set no times when a file is changed through a mapping (`man 2 statfs`): their `vm_ops`
have no `page_mkwrite`, https://github.com/torvalds/linux/blob/v6.12/mm/shmem.c."""
_NETWORK = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFE534D42: "smb2",
    0xFF534D42: "cifs",
    0x65735546: "fuse",
    0x0BD00BD0: "lustre",
    0x00C36400: "ceph",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0xAAD7AAEA: "panfs",
    0x5346414F: "afs",
    0x6B414653: "k-afs",
    0x01021997: "v9fs",
    0x786F4256: "vboxsf",
}
"""File systems where each access to a page that is not in memory asks another machine, or a program
(coreutils, src/stat.c)."""
_LARGER_THAN_STATFS = 256
_GET_VERSION = 0x80007601 | ctypes.sizeof(ctypes.c_long) << 16
"""FS_IOC_GETVERSION, `man 2 ioctl_iflags`."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE."""


@contextlib.contextmanager
def nothing_read_ahead(descriptor: int) -> Iterator[None]:
    """Let the system read what is asked for and no more: it would read some MiB behind it, and drop them."""
    advise = getattr(os, "posix_fadvise", None)
    if advise is None:
        yield
        return
    with contextlib.suppress(OSError):
        advise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            advise(descriptor, 0, 0, os.POSIX_FADV_NORMAL)


def tells_changes(descriptor: int | None) -> bool:
    """Tell whether every change of an open file sets its times."""
    if descriptor is None:
        return False
    if _statfs() is None:
        return True
    kind = _kind(descriptor)
    return kind is not None and kind not in _IN_MEMORY


def is_on_network(descriptor: int | None) -> bool:
    """Tell whether an open file is on a file system where page faults are slow: of a network, or of FUSE."""
    return descriptor is not None and _kind(descriptor) in _NETWORK


def _kind(descriptor: int) -> int | None:
    """Return the number of the kind of file system that an open file is on; None where it is not told."""
    function = _statfs()
    facts = ctypes.create_string_buffer(_LARGER_THAN_STATFS)
    if function is None or function(descriptor, facts) != 0:
        return None
    return int.from_bytes(facts.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF


def _statfs() -> Callable[..., Any] | None:
    return _function("fstatfs", ctypes.c_int, ctypes.c_void_p)


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
