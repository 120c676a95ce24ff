"""A filter of system calls: no sockets, no processes, no signals to others, nothing that changes the machine.

Namespaces and Landlock say what can be reached; this says what can be asked of the kernel at all. The numbers
are those of Linux's `unistd.h`; the form is classic BPF (`man 2 seccomp`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["filter_here", "is_known", "restrict"]


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    """How the kernel calls it in a filter."""
    column: int
    """Number of its column in the table below."""
    seccomp: int
    """The number of that system call."""


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 0, 317),
    "aarch64": _Machine(0xC00000B7, 1, 277),
}

# Name, x86_64, aarch64; 0 where there is none.
_REFUSED = """
    socketpair 53 199
    socket 41 198    connect 42 203    accept 43 202    accept4 288 242    bind 49 200    listen 50 201
    fork 57 0    vfork 58 0    execve 59 221    execveat 322 281    ptrace 101 117    tkill 200 130
    rt_sigqueueinfo 129 138    rt_tgsigqueueinfo 297 240
    pidfd_open 434 434    pidfd_getfd 438 438    pidfd_send_signal 424 424
    process_vm_readv 310 270    process_vm_writev 311 271    process_madvise 440 440    kcmp 312 272
    chown 92 0    fchown 93 55    lchown 94 0    fchownat 260 54    truncate 76 45
    utime 132 0    utimes 235 0    futimesat 261 0    mknod 133 0    mknodat 259 33
    setxattr 188 5    lsetxattr 189 6    fsetxattr 190 7
    removexattr 197 14    lremovexattr 198 15    fremovexattr 199 16
    mount 165 40    umount2 166 39    pivot_root 155 41    chroot 161 51    open_tree 428 428
    move_mount 429 429    fsopen 430 430    fsconfig 431 431    fsmount 432 432    fspick 433 433
    mount_setattr 442 442    setns 308 268    unshare 272 97
    name_to_handle_at 303 264    open_by_handle_at 304 265
    swapon 167 224    swapoff 168 225    reboot 169 142    sethostname 170 161    setdomainname 171 162
    iopl 172 0    ioperm 173 0    init_module 175 105    finit_module 313 273    delete_module 176 106
    kexec_load 246 104    kexec_file_load 320 294    quotactl 179 60    quotactl_fd 443 443
    add_key 248 217    request_key 249 218    keyctl 250 219    syslog 103 116    acct 163 89
    clock_settime 227 112    clock_adjtime 305 266    settimeofday 164 170    adjtimex 159 171
    personality 135 92    vhangup 153 58    bpf 321 280    userfaultfd 323 282    perf_event_open 298 241
    fanotify_init 300 262    io_uring_setup 425 425    io_uring_enter 426 426    io_uring_register 427 427
    memfd_create 319 279    memfd_secret 447 447    shmget 29 194    msgget 68 186    semget 64 190
    mq_open 240 180    move_pages 279 239    migrate_pages 256 238    ioprio_set 251 30
    setpriority 141 140    sched_setaffinity 203 122    sched_setparam 142 118    sched_setscheduler 144 119
    sched_setattr 314 274
"""
_SILENT = "chmod 90 0    fchmod 91 52    fchmodat 268 53    utimensat 280 88"
"""They do nothing, and say that they did: whoever makes a file of his own sets its mode and its times."""
_UNKNOWN = "clone3 435 435    fchmodat2 452 452"
"""They are answered as by an older kernel: their arguments lie where a filter cannot look."""
_FIRST_UNKNOWN = 463
"""System calls from here on are newer than this table."""
_X32 = 0x40000000
"""From here on x86_64 has a second set of numbers."""

_CLONE = (56, 220)
_CLONE_THREAD = 0x00010000
_OWN = {"kill": (62, 129), "tgkill": (234, 131)}
"""Their first argument must be this process."""
_OWN_OR_ZERO = {"prlimit64": (302, 261)}
_OWNERS = {
    "fcntl": ((72, 25), (8, 10, 15)),  # F_SETOWN, F_SETSIG, F_SETOWN_EX
    "ioctl": ((16, 29), (0x8901, 0x8902)),  # FIOSETOWN, SIOCSPGRP
}
"""By their second argument they name a process that gets a signal when a file is ready."""
_PRCTL, _PR_SET_PDEATHSIG = (157, 167), 1

_LOAD, _EQUAL, _AT_LEAST, _SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _AUDIT, _ARGUMENT = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_SECCOMP_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def is_known() -> bool:
    """Tell whether there is a table for this machine."""
    return platform.machine() in _MACHINES


def restrict() -> None:
    """Filter the system calls of every thread of this process, and of all that it starts.

    Raises:
        OSError: if the kernel refuses.
    """
    machine = _MACHINES[platform.machine()]
    program = b"".join(filter_here(os.getpid()))
    content = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(content))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, _FLAG_TSYNC, described) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def filter_here(process: int) -> Iterator[bytes]:
    """Yield the instructions of the filter for this machine.

    Args:
        process: The number of the process that may be sent signals.
    """
    machine = _MACHINES[platform.machine()]
    refuse, unknown = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS
    yield _step(_LOAD, _AUDIT)
    yield from _if(_EQUAL, machine.audit, _ALLOW, otherwise=_KILL, goes_on=True)
    yield _step(_LOAD, _NUMBER)
    yield from _if(_AT_LEAST, _X32, refuse)
    yield from _if(_AT_LEAST, _FIRST_UNKNOWN, unknown)
    for table, answer in ((_REFUSED, refuse), (_SILENT, _ERROR), (_UNKNOWN, unknown)):
        for number in _numbers(table, machine).values():
            yield from _if(_EQUAL, number, answer)
    # Only threads; a new process would begin with the filter, and still be one.
    yield from _asked(_CLONE[machine.column], 0, [(_SET, _CLONE_THREAD, _ALLOW)], refuse)
    for numbers in _OWN.values():
        yield from _asked(numbers[machine.column], 0, [(_EQUAL, process, _ALLOW)], refuse)
    for numbers in _OWN_OR_ZERO.values():
        own = [(_EQUAL, process, _ALLOW), (_EQUAL, 0, _ALLOW)]
        yield from _asked(numbers[machine.column], 0, own, refuse)
    for numbers, requests in _OWNERS.values():
        owners = [(_EQUAL, request, refuse) for request in requests]
        yield from _asked(numbers[machine.column], 1, owners, _ALLOW)
    death = [(_EQUAL, _PR_SET_PDEATHSIG, refuse)]
    yield from _asked(_PRCTL[machine.column], 0, death, _ALLOW)
    yield _step(_RETURN, _ALLOW)


def _numbers(table: str, machine: _Machine) -> Mapping[str, int]:
    words = table.split()
    rows = zip(words[::3], words[1::3], words[2::3], strict=True)
    found = {name: int(numbers[machine.column]) for name, *numbers in rows}
    return {name: number for name, number in found.items() if number}


def _asked(
    number: int, argument: int, answers: list[tuple[int, int, int]], otherwise: int
) -> Iterator[bytes]:
    """Yield what answers one system call by the low half of one argument."""
    yield _step(_EQUAL, number, 0, 2 + 2 * len(answers))
    yield _step(_LOAD, _ARGUMENT + 8 * argument)
    for comparison, value, answer in answers:
        yield from _if(comparison, value, answer)
    yield _step(_RETURN, otherwise)


def _if(
    comparison: int, value: int, answer: int, *, otherwise: int = 0, goes_on: bool = False
) -> Iterator[bytes]:
    """Yield what gives an answer if a comparison holds; or, with *goes_on*, another one if it does not."""
    if goes_on:
        yield _step(comparison, value, 1, 0)
        yield _step(_RETURN, otherwise)
    else:
        yield _step(comparison, value, 0, 1)
        yield _step(_RETURN, answer)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
