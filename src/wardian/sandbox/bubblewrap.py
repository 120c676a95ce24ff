"""Bubblewrap: a program in namespaces of its own, with a root folder that holds no more than it is given."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["command", "find"]

_SECONDS = 20


def find() -> tuple[str | None, str]:
    """Return the path of bubblewrap if it works here, else None; and why it does not."""
    program = shutil.which("bwrap")
    if program is None:
        return None, "bubblewrap is not installed"
    words = [program, "--unshare-all", "--ro-bind", "/usr", "/usr", *_LINKS, *_proc(), "--", "/usr/bin/true"]
    try:
        tried = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{program} does not work here: {error}"
    if tried.returncode != 0:
        said = tried.stderr.decode("utf-8", "replace").strip().splitlines()
        return None, f"{program} does not work here: {said[-1] if said else tried.returncode}"
    return program, ""


# Where /lib and the like are folders of their own, they are among the paths that are read.
_LINKS = tuple(
    word
    for name in ("lib", "lib64", "lib32", "bin", "sbin")
    for word in ("--ro-bind-try", f"/{name}", f"/{name}")
)

_HIDDEN = (
    "acpi",
    "asound",
    "bus",
    "config.gz",
    "driver",
    "fs",
    "interrupts",
    "iomem",
    "ioports",
    "irq",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "modules",
    "mtrr",
    "pagetypeinfo",
    "sched_debug",
    "scsi",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
)
"""Files of `/proc` in which the kernel shows itself and devices. No library needs them; root may read all."""


def _proc() -> Iterator[str]:
    """Yield the words that make `/proc`: the cage's own processes, and nothing that can be written.

    There the kernel lets root write settings of the whole machine, without any capability. A cage that root
    started is root to the kernel, whatever number it has inside.
    """
    yield from ("--proc", "/proc")
    for path in (f"/proc/{name}" for name in _HIDDEN):
        if os.path.isdir(path):
            yield from ("--tmpfs", path, "--remount-ro", path)
        elif os.path.exists(path):
            yield from ("--ro-bind", os.devnull, path)
    yield from ("--remount-ro", "/proc")


def command(
    program: str,
    *,
    read: Iterable[str],
    places: Mapping[str, str],
    scratch: int,
    variables: Mapping[str, str],
) -> list[str]:
    """Return the words that start a program in a cage; those of the program follow.

    No network, no other processes, no home; a `/tmp` of its own, and nothing else that can be written.

    Args:
        program: Bubblewrap.
        read: Files and folders that are there, at their own paths.
        places: Files that are there at other paths: path in the cage → path here.
        scratch: Bytes that `/tmp` may hold.
        variables: The environment, all of it.
    """
    words = [
        program,
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--clearenv",
    ]
    for name, value in variables.items():
        words += ["--setenv", name, value]
    # Before what is read, which may lie below the `/tmp` of this machine.
    words += ["--size", str(scratch), "--tmpfs", "/tmp"]  # noqa: S108  its own
    for path in read:
        words += ["--ro-bind-try", path, path]
    for inside, path in places.items():
        words += ["--ro-bind", path, inside]
    words += [*_proc(), "--dev", "/dev", "--remount-ro", "/dev"]
    words += ["--remount-ro", "/", "--chdir", "/tmp", "--"]  # noqa: S108
    return words
