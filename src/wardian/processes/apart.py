"""A forked process gets its own of what it shares with its parent.

A fork copies memory, but neither memory that is mapped as shared nor the positions of open files: what it
writes or reads there, its parent has written or read.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import re
import stat
from collections.abc import Collection, Iterator

__all__ = ["be_apart"]

_MOST_SHARED = 1 << 30
"""Bytes of shared memory that are copied."""


def be_apart(keep: Collection[int]) -> None:
    """Give this process, which was forked, its own of all that it could read or write for its parent.

    Shared memory becomes a private copy. Files that can be read are opened again where they stand, for
    reading alone. Pipes and sockets are of no use any more: what is read there, nobody else would get.

    Args:
        keep: Descriptors that stay as they are.

    Raises:
        OSError: if there is too much of it, or the platform does not tell.
    """
    _own_memory()
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor not in keep:
            # The one of the listing itself is no more.
            with contextlib.suppress(OSError):
                _own_descriptor(descriptor)


def _own_descriptor(descriptor: int) -> None:
    kind = os.fstat(descriptor).st_mode
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if stat.S_ISREG(kind) and flags & os.O_ACCMODE != os.O_WRONLY:
        # Not `dup`, which shares the position. What was removed can be opened so, too: `man 5 proc_pid_fd`.
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        os.lseek(own, os.lseek(descriptor, 0, os.SEEK_CUR), os.SEEK_SET)
    elif stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        own = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    else:
        return
    os.dup2(own, descriptor, inheritable=os.get_inheritable(descriptor))
    os.close(own)


def _own_memory() -> None:
    regions = list(_shared_memory())
    if sum(size for _, size in regions) > _MOST_SHARED:
        raise OSError("it shares more than 1 GiB of memory with other processes")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mremap.argtypes = [ctypes.c_void_p, *[ctypes.c_size_t] * 2, ctypes.c_int, ctypes.c_void_p]
    for start, size in regions:
        protection, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        own = libc.mmap(None, size, protection, kind, -1, 0)
        if own == _FAILED:
            raise OSError(ctypes.get_errno(), "no memory for a copy")
        ctypes.memmove(own, start, size)
        # It takes the place of the shared one at once: `man 2 mremap`.
        if libc.mremap(own, size, size, _MAYMOVE | _FIXED, start) == _FAILED:
            raise OSError(ctypes.get_errno(), "a copy cannot take the place of shared memory")


_FAILED = ctypes.c_void_p(-1).value
_MAYMOVE, _FIXED = 1, 2

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw.s \S+ \S+ \S+ *(.*)")
"""A line of `/proc/self/maps` of memory that can be written, and is shared: `man 5 proc_pid_maps`."""
_OF_DEVICES = re.compile(r"/dev/(?!shm/|zero)|anon_inode:")


def _shared_memory() -> Iterator[tuple[int, int]]:
    """Yield address and size of what this process shares and may write, but for the memory of devices."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            if (found := _REGION.match(line)) and not _OF_DEVICES.match(found[3]):
                start, end = int(found[1], 16), int(found[2], 16)
                yield start, end - start
