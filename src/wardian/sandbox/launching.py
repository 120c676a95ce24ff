"""Which way there is to put a child into a cage on this machine, and what the child may read there."""

from __future__ import annotations

import contextlib
import json
import os
import site
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from wardian.errors import SandboxUnavailableError
from wardian.processes.folders import WorkFolder
from wardian.sandbox import bubblewrap

__all__ = ["Limits", "Started", "Way", "start"]

Way = Literal["bubblewrap", "landlock"]
"""How the child is kept: in namespaces with a root folder of its own; or by rules about paths."""

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/localtime")
_SHOWN = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)
"""Files in which the kernel shows the machine; programs read the processors and the memory there."""

# The current folder is no place to import from, and nothing of the environment is read.
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from wardian.sandbox.child import main; main(sys.argv[1])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one case's code."""

    memory: int
    """Bytes beyond what Python, PyTorch and the file itself take."""
    seconds: int
    """Seconds of processor time, all calls together."""


@dataclass(frozen=True, slots=True)
class Started:
    """A child that was started."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    """To ask it."""
    printed: int
    """Descriptor of what it prints."""
    folder: WorkFolder | None
    """Where its own folder is, where that is one of this machine."""
    way: Way


def start(path: str, name: str, *, digest: str, limits: Limits, way: Way | None, size: int) -> Started:
    """Start a child that will open one case.

    Args:
        path: The file of the case.
        name: Its name in the cage.
        digest: The digest that the child has to find.
        limits: What it may use.
        way: How to keep it; None for the best that there is.
        size: Of the file, in bytes.

    Raises:
        SandboxUnavailableError: if there is no way on this machine; it says what is missing.
    """
    chosen, program = _choose(way)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    printed, printing = os.pipe()
    os.set_blocking(printed, False)
    folder = None if chosen == "bubblewrap" else WorkFolder()
    home = "/tmp" if folder is None else _home_in(folder)  # noqa: S108  its own
    variables = _variables(home)
    inside = f"/case/{name}" if chosen == "bubblewrap" else path
    read = [*_SYSTEM, *_readable()]
    writable = {"home": home, "write": [home, os.devnull]}
    told: dict[str, Any] = {
        "socket": theirs.fileno(),
        "parent": os.getpid(),
        "path": inside,
        "digest": digest,
        "limits": asdict(limits) | {"memory": limits.memory + size},
        "landlock": None if folder is None else {"read": [*read, *_SHOWN, path], **writable},
    }
    words = _interpreter(told)
    if program is not None:
        words[:0] = bubblewrap.command(
            program, read=read, places={inside: path}, scratch=limits.memory, variables=variables
        )
    try:
        process = _start_in_a_lasting_thread(
            words,
            stdin=subprocess.DEVNULL,
            stdout=printing,
            stderr=printing,
            env=variables,
            cwd="/",
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            umask=0o077,
        )
    except BaseException:
        ours.close()
        os.close(printed)
        if folder is not None:
            folder.close()
        raise
    finally:
        theirs.close()
        os.close(printing)
    return Started(process, ours, printed, folder, chosen)


def _interpreter(told: dict[str, Any]) -> list[str]:
    """Return the command of the child, which is told what it has to do."""
    # The links that lead to it are not all in the cage, nor to what is imported.
    program = os.path.realpath(sys.executable)
    return [program, "-I", "-B", "-u", "-c", _BOOT, json.dumps(told), *_search_path()]


def _start_in_a_lasting_thread(words: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that ends with this one, and not with the thread that asks for it.

    Linux lets a child end with the thread that started it (`man 2 PR_SET_PDEATHSIG`).
    """
    starting = _lasting_thread(os.getpid()).submit(lambda: subprocess.Popen(words, **options))
    try:
        return starting.result()
    except KeyboardInterrupt:
        starting.add_done_callback(_end_what_nobody_has)
        raise


def _end_what_nobody_has(started: Future[subprocess.Popen[bytes]]) -> None:
    if started.exception() is None:
        started.result().kill()


@lru_cache
def _lasting_thread(process: int) -> ThreadPoolExecutor:
    """Return the thread of a process that starts cages; a fork of it has none of its threads."""
    return ThreadPoolExecutor(1, f"wardian-cages-of-{process}")


def _home_in(folder: WorkFolder) -> str:
    """Make the folder that the child may write; what says that it is in use lies outside of it."""
    home = folder.path / "home"
    home.mkdir(0o700)
    return str(home)


def _choose(way: Way | None) -> tuple[Way, str | None]:
    missing = list(_missing_everywhere())
    if not missing and way != "landlock":
        program, why = bubblewrap.find()
        if program is not None:
            return "bubblewrap", program
        missing.append(f"{why} (apt-get install bubblewrap)")
    if way != "bubblewrap":
        lacking = [] if missing and way is None and not _is_linux() else list(_missing_for_landlock())
        if not lacking and not list(_missing_everywhere()):
            return "landlock", None
        missing += lacking
    raise SandboxUnavailableError(
        "there is no cage on this machine for the code of a stranger:"
        + "".join(f"\n  {line}" for line in missing)
        + "\nrun the case in a virtual machine, or look at it without running it: wardian audit FILE",
        missing=tuple(missing),
    )


def _is_linux() -> bool:
    return sys.platform.startswith("linux")


def _missing_everywhere() -> Iterator[str]:
    if not _is_linux():
        yield "cages are for Linux only"
        return
    from wardian.sandbox import syscalls

    if not syscalls.is_known():
        yield "the filter of system calls knows x86_64 and aarch64 only"


def _missing_for_landlock() -> Iterator[str]:
    from wardian.sandbox import landlock

    found = landlock.version()
    if found < landlock.NEEDED:
        has = f"has version {found}" if found else "does not have it, or it is switched off"
        yield f"Landlock of version {landlock.NEEDED} (Linux 6.2) is needed, and this kernel {has}"


def _variables(home: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "4",  # each thread else takes 64 MiB of addresses, which are counted
        "WARDIAN_CACHE": f"{home}/cache",
    }


def _packages() -> list[str]:
    """Return the folders of installed libraries."""
    named = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    with contextlib.suppress(AttributeError):  # some virtual environments replace the module
        named.update(site.getsitepackages())
    ends = ("site-packages", "dist-packages")
    return [p for p in dict.fromkeys(map(os.path.abspath, sys.path)) if p in named or p.endswith(ends)]


def _linked(folder: str) -> Iterator[str]:
    """Yield the folders and files outside that links in a folder of installed libraries lead to."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from (entry.path for entry in entries if entry.is_symlink())


def _own() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _search_path() -> list[str]:
    """Return where the child imports from: the standard library, installed libraries, this one."""
    library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    base = [
        p for p in sys.path if p and (os.path.dirname(p) in library or p in library or p.endswith(".zip"))
    ]
    places = [*library, *base, *_packages(), os.path.dirname(_own())]
    return list(dict.fromkeys(map(os.path.realpath, places)))


def _readable() -> list[str]:
    """Return what the child may read beside the system's libraries: Python, what is installed, this library.

    No path leads over a link: where one is given, the folder that it lies in may not be there.
    """
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *_packages(), _own()]
    places += [os.path.dirname(os.path.realpath(sys.executable))]
    places += [link for folder in _packages() for link in _linked(folder)]
    found = dict.fromkeys(map(os.path.realpath, places))
    return [place for place in found if place not in _TOO_MUCH]


_TOO_MUCH = frozenset({"/", os.path.expanduser("~"), "/home", "/root", "/usr", "/tmp", "/var", "/etc"})  # noqa: S108
"""Folders that nothing installed may stand for, and one that is there already."""
