"""How clean processes are started: as this interpreter was, with the same modules in its reach."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from wardian.environment.unpacking import unpacked

__all__ = [
    "BOOT",
    "CASES_VARIABLE",
    "MARKER_VARIABLE",
    "OPEN_CASES_VARIABLE",
    "command",
    "environment",
    "inherited",
    "interpreter_arguments",
    "read_at_use",
    "search_path",
]

OPEN_CASES_VARIABLE = "WARDIAN_OPEN_CASES"
"""Environment variable by which child processes find the cases their parent has open: `name=path` entries."""

CASES_VARIABLE = "WARDIAN_CASES"
"""Environment variable by which a user gives cases to workers: paths and URLs, as in PATH."""

MARKER_VARIABLE = "WARDIAN_CLEAN_PROCESS"
"""Environment variable of clean processes."""

# The current folder is the first entry of a new interpreter's path, so nothing may be imported before.
BOOT = """\
import sys
sys.path[:] = sys.argv[3:]
from wardian.processes.boot import begin
begin(sys.argv[1], sys.argv[2])
"""
"""The program of a clean process. Its arguments are a role, what belongs to it, and entries of `sys.path`."""


# It becomes a child of init: who waits for all children does not wait for it.
_APART = "import os\nos.fork() and os._exit(0)\n"


def command(role: str, argument: str, path: Sequence[str], *, apart: bool = False) -> list[str]:
    """Return the command that starts a clean process.

    Args:
        role: A key of `wardian.processes.boot.ROLES`.
        argument: What the role takes.
        path: Its `sys.path`.
        apart: Let it be no child of this process; what is started ends as soon as it runs.
    """
    code = _APART + BOOT if apart else BOOT
    return [sys.executable, *interpreter_arguments(), "-c", code, role, argument, *path]


_SWITCHES = {
    "debug": "d",
    "dont_write_bytecode": "B",
    "no_site": "S",
    "verbose": "v",
    "bytes_warning": "b",
    "quiet": "q",
    "optimize": "O",
}
"""Fields of `sys.flags` and the switches that set them; as often as the field says."""

_ENVIRONMENT_SWITCHES = {"ignore_environment": "E", "no_user_site": "s", "safe_path": "P"}
"""Those that `-I` implies."""


def interpreter_arguments() -> list[str]:
    """Return the arguments that give another interpreter the flags of this one.

    >>> "-P" in interpreter_arguments() or not sys.flags.safe_path
    True
    """
    switches = [f"-{letter * getattr(sys.flags, name)}" for name, letter in _SWITCHES.items()]
    if sys.flags.isolated:
        switches.append("-I")
    else:
        switches += [
            f"-{letter * getattr(sys.flags, name)}" for name, letter in _ENVIRONMENT_SWITCHES.items()
        ]
    # An interpreter does not take a warning filter twice, so these may have those of the environment.
    filters = [f"-W{option}" for option in sys.warnoptions]
    options = [
        f"-X{name}" if value is True else f"-X{name}={value}"
        for name, value in sys._xoptions.items()  # noqa: SLF001  the documented place of -X
    ]
    return [*(switch for switch in switches if switch != "-"), *filters, *options]


def search_path() -> list[str]:
    """Return the entries of `sys.path` for a process that may work in another folder than this one."""
    # What is relative to the current folder would be lost after a chdir. Entries that name no place are for a
    # hook: __editable__.mylib-1.0.finder.__path_hook__
    path = [os.path.abspath(entry) if os.path.exists(entry or ".") else entry for entry in sys.path]
    # A ZIP archive is unpacked: what is read in it is seen, and packed, as files are.
    path = [unpacked(entry) for entry in path if "\0" not in entry]
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return path if own in path else [*path, own]


def environment() -> dict[str, str]:
    """Return the environment variables of a clean process: it shall find nothing that this one has open."""
    kept = {name: value for name, value in os.environ.items() if name != OPEN_CASES_VARIABLE}
    return {**kept, MARKER_VARIABLE: "1"}


_READ_AT_USE = frozenset(
    {
        "COLUMNS",
        "LINES",
        "OLDPWD",
        "PWD",
        "PYTEST_CURRENT_TEST",
        "PYTHONPATH",  # an interpreter reads it when it starts; what comes of it, `sys.path`, is told
        "SHLVL",
        "TORCHINDUCTOR_CACHE_DIR",  # set by `torch._inductor.config` in a process that imports it
        "WARDIAN_CACHE",
        "WARDIAN_CACHE_MAX_DAYS",
        "WARDIAN_CACHE_MAX_SIZE",
        "WARDIAN_CASES",
        "_",
    }
)
"""Environment variables that nothing reads when it is loaded."""


def read_at_use() -> dict[str, str | None]:
    """Return the environment variables that a template gives its forks anew; None for one without a value."""
    return {name: os.environ.get(name) for name in _READ_AT_USE}


def inherited() -> tuple[Any, ...]:
    """Return what a process that is started now has from this one, and cannot or should not change later.

    Environment variables count that a library may read when it is loaded, such as OMP_NUM_THREADS.
    """
    import resource  # which is there wherever `fork` is

    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return (
        sys.executable,
        *interpreter_arguments(),
        *sorted(item for item in environment().items() if item[0] not in _READ_AT_USE),
        *(resource.getrlimit(getattr(resource, name)) for name in limits),
        *(getattr(os, name)() for name in ("getresuid", "getresgid", "getgroups")),
        os.getpriority(os.PRIO_PROCESS, 0),
        sorted(os.sched_getaffinity(0)),
        *_read_status(),
        *(_read_link(f"/proc/self/{name}") for name in ("root", *(f"ns/{name}" for name in _NAMESPACES))),
    )


_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid_for_children", "time_for_children", "user", "uts")


def _read_status() -> list[bytes]:
    """Return the lines of this process's status about signals and rights."""
    with open("/proc/thread-self/status", "rb") as status:
        return [
            line
            for line in status
            if line.startswith((b"SigBlk", b"SigIgn", b"Cap", b"NoNewPrivs", b"Seccomp:"))
        ]


def _read_link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:  # an older kernel
        return None
