"""Common parts of the modules that packed code gets in place of Python's."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

from wardian.domain.names import top_level

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = ["delegate", "own_name"]


def delegate(name: str, original: types.ModuleType, **own: object) -> types.ModuleType:
    """Return a module that has *own* and else the attributes of *original*."""
    module = types.ModuleType(name, original.__doc__)
    module.__dict__["__getattr__"] = lambda attribute: getattr(original, attribute)
    module.__dict__["__dir__"] = lambda: dir(original)
    module.__dict__["__path__"] = []
    module.__dict__.update(own)
    return module


def own_name(mount: Mount, name: str, depth: int) -> str:
    """Return the name that packed code means where it derives a name from its `__name__`.

    Args:
        mount: The mount of the code.
        name: What it passed: `__name__`, or its first part, which below a mount is `wardian`.
        depth: How many frames up the packed code is.
    """
    if name == "wardian":
        caller = sys._getframe(depth + 1).f_globals.get("__name__", "")  # noqa: SLF001
        return top_level(mount.own_name(caller) or name)
    return name.removeprefix(f"{mount.name}.")
