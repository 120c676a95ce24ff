"""Limits on a child: memory, time, files; and no rights beyond those of an ordinary program."""

from __future__ import annotations

import ctypes
import os
import resource
import struct

__all__ = ["drop_rights", "limit_resources"]

_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_LAST_CAPABILITY = 63
_FILES = 1024
_THREADS = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def drop_rights() -> None:
    """Give up what root has beyond others, and the way to get it back.

    Raises:
        OSError: if the kernel refuses.
    """
    _require(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # most do not exist, or are not held
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    _require(_libc.capset(header, bytes(24)))


def limit_resources(*, memory: int, seconds: int) -> None:
    """Set the limits of this process, from now on.

    Args:
        memory: Bytes of address space beyond what is in use.
        seconds: Of processor time, together.
    """
    with open("/proc/self/statm", "rb") as status:
        used = int(status.read().split()[0]) * resource.getpagesize()
    if _counts_alone():
        _limit(resource.RLIMIT_NPROC, _THREADS)
    for kind, most in (
        (resource.RLIMIT_AS, used + memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, memory),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _limit(kind, most)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (least, least))


def _counts_alone() -> bool:
    """Tell whether a limit of threads is about this process: without a namespace it is about the user."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", str(0xFFFFFFFF)]


def _require(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
