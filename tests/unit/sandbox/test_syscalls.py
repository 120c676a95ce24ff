"""What the filter of system calls answers, found by running its program on what the kernel would show it."""

from __future__ import annotations

import errno
import platform
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import run_python
from wardian.sandbox import syscalls
from wardian.sandbox.syscalls import filter_here, is_known

OWN = 4711
"""The process that may be sent signals."""
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, KILLED = "allowed", "killed"
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
# Some system calls by their numbers on x86_64.
READ, CLONE, FORK, EXECVE, KILL, FCNTL, CHMOD, PRCTL, TGKILL, PRLIMIT, CLONE3 = (
    *(0, 56, 57, 59, 62, 72, 90, 157, 234, 302, 435),
)


@pytest.fixture
def _x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def run(
    program: list[bytes], number: int, *arguments: int, architecture: int = ARCHITECTURE["x86_64"]
) -> object:
    """Run a program of classic BPF on one call (`man 2 seccomp`); return what it answers."""
    filled = [argument % (1 << 64) for argument in (*arguments, *[0] * 6)][:6]
    shown = struct.pack("<IIQ6Q", number, architecture, 0, *filled)
    value, place = 0, 0
    while True:
        code, if_true, if_false, constant = struct.unpack("<HBBI", program[place])
        place += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                (value,) = struct.unpack_from("<I", shown, constant)
            case 0x15:  # BPF_JMP | BPF_JEQ
                place += if_true if value == constant else if_false
            case 0x35:  # BPF_JMP | BPF_JGE
                place += if_true if value >= constant else if_false
            case 0x45:  # BPF_JMP | BPF_JSET
                place += if_true if value & constant else if_false
            case 0x06:  # BPF_RET
                if constant >> 16 == 0x0005:  # SECCOMP_RET_ERRNO
                    return constant & 0xFFFF
                return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}[constant]
            case _:
                raise AssertionError(f"{code:#x} is no instruction of the filter")


def answer(number: int, *arguments: int) -> object:
    return run(list(filter_here(OWN)), number, *arguments)


@given(st.integers(0, 600) | st.integers(0, 0xFFFFFFFF), st.lists(st.integers(0, (1 << 64) - 1), max_size=6))
@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_every_call_is_answered(machine: str, number: int, arguments: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "machine", lambda: machine)
        program = list(filter_here(OWN))
    found = run(program, number, *arguments, architecture=ARCHITECTURE[machine])
    assert found in (ALLOWED, 0, errno.EPERM, errno.ENOSYS)
    assert run(program, number, *arguments, architecture=ARCHITECTURE[machine] ^ 1) == KILLED


@pytest.mark.usefixtures("_x86_64")
def test_what_is_refused_and_what_goes_on() -> None:
    assert answer(READ) == ALLOWED
    assert answer(EXECVE) == answer(FORK) == errno.EPERM
    assert answer(CHMOD) == 0  # it does nothing, and says that it did
    assert answer(CLONE3) == errno.ENOSYS


@pytest.mark.usefixtures("_x86_64")
def test_numbers_that_the_table_does_not_know_are_those_of_no_call() -> None:
    assert [answer(number) for number in (462, 463, 0x3FFFFFFF)] == [ALLOWED, errno.ENOSYS, errno.ENOSYS]
    # From here on x86_64 has all of them once more.
    assert [answer(0x40000000 + number) for number in (READ, EXECVE)] == [errno.EPERM] * 2


@pytest.mark.usefixtures("_x86_64")
@pytest.mark.parametrize(
    ("number", "arguments", "found"),
    [
        (CLONE, (0x00010000,), ALLOWED),  # CLONE_THREAD
        (CLONE, (0x003D0F00,), ALLOWED),  # all that pthread_create asks for
        (CLONE, (17,), errno.EPERM),  # SIGCHLD: a process
        (CLONE, (0x10000000,), errno.EPERM),  # CLONE_NEWUSER
        (KILL, (OWN,), ALLOWED),
        (KILL, (OWN + 1,), errno.EPERM),
        (KILL, (0,), errno.EPERM),
        (KILL, (-OWN,), errno.EPERM),
        (TGKILL, (OWN, 1), ALLOWED),
        (TGKILL, (1, OWN), errno.EPERM),
        (PRLIMIT, (0,), ALLOWED),
        (PRLIMIT, (OWN,), ALLOWED),
        (PRLIMIT, (1,), errno.EPERM),
        (FCNTL, (8, 2), ALLOWED),  # the first argument is a descriptor
        (FCNTL, (0, 8), errno.EPERM),  # F_SETOWN
        (PRCTL, (15,), ALLOWED),  # PR_SET_NAME
        (PRCTL, (1,), errno.EPERM),  # PR_SET_PDEATHSIG
    ],
)
def test_some_are_answered_by_an_argument(number: int, arguments: tuple[int, ...], found: object) -> None:
    assert answer(number, *arguments) == found


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_headers_of_linux(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the headers of Linux are not installed")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    text = HEADERS[machine].read_text("utf-8")
    there = {
        name: int(number)
        for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", text, re.MULTILINE)
    }
    tables = (syscalls._REFUSED, syscalls._SILENT, syscalls._UNKNOWN)
    known: dict[str, int] = {}
    for table in tables:
        known |= syscalls._numbers(table, syscalls._MACHINES[machine])
    column = syscalls._MACHINES[machine].column
    known |= {name: numbers[column] for name, numbers in (syscalls._OWN | syscalls._OWN_OR_ZERO).items()}
    known |= {name: numbers[column] for name, (numbers, _) in syscalls._OWNERS.items()}
    known |= {"clone": syscalls._CLONE[column], "prctl": syscalls._PRCTL[column]}
    # What headers do not have yet is not compared.
    assert {name: number for name, number in known.items() if there.get(name, number) != number} == {}
    assert len(known.keys() & there.keys()) > 90


def test_every_call_is_in_one_table_only() -> None:
    names = [
        name
        for table in (syscalls._REFUSED, syscalls._SILENT, syscalls._UNKNOWN)
        for name in table.split()[::3]
    ]
    assert len(names) == len(set(names))


def test_other_machines_have_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not is_known()


@pytest.mark.skipif(not is_known(), reason="there is no filter for this machine")
def test_the_kernel_takes_the_filter_for_every_thread(tmp_path: Path) -> None:
    script = """
        import os, socket, threading
        from wardian.sandbox.syscalls import restrict

        def tries():
            found = []
            signals = [lambda: os.kill(os.getppid(), 0), lambda: os.kill(os.getpid(), 0)]
            for what in (os.fork, socket.socket, *signals):
                try:
                    what()
                    found.append("done")
                except PermissionError:
                    found.append("refused")
            return found

        restricted = threading.Event()
        other = []
        thread = threading.Thread(target=lambda: restricted.wait() and other.extend(tries()))
        thread.start()
        restrict()
        restricted.set()
        thread.join()
        print(tries() == other, *other)
    """
    assert run_python(script, folder=tmp_path).split() == ["True", *["refused"] * 3, "done"]
