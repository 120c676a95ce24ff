"""Shared libraries that are mapped into this process, and which of them code has compiled."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_compiled_in_run", "mapped_libraries"]


def mapped_libraries() -> frozenset[str]:
    """Return the shared libraries that are mapped into this process; empty where the system does not tell."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return frozenset()
    fields = (line.split(maxsplit=5) for line in lines)
    return frozenset(f[5] for f in fields if len(f) == 6 and ".so" in f[5] and f[5].startswith("/"))


def is_compiled_in_run(library: str) -> bool:
    """Tell whether `torch.utils.cpp_extension` compiles a shared library for whoever asks for it.

    `load` and `load_inline` do, in whatever folder, and leave the file for ninja there (torch,
    `_write_ninja_file`). Where setuptools compiles an extension, that file lies in a folder of its own.

    Args:
        library: Its path.
    """
    try:
        return b"-DTORCH_EXTENSION_NAME=" in Path(library).with_name("build.ninja").read_bytes()
    except OSError:
        return False
