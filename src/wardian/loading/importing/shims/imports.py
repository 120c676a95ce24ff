"""Imports that only running the code can tell: `__import__`, `exec`, `importlib.import_module`.

Static absolute imports of packed modules were made relative when the code was compiled
(`wardian.source.rewriting`). What is left gets here: a `__builtins__` with a hooked `__import__` for modules
that use it by name, and modules `importlib` and `pkgutil` of the mount's own for names given as strings.
"""

from __future__ import annotations

import builtins
import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from wardian.domain.names import top_level
from wardian.source.mentions import Mentioned

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = ["builtins_for", "needs_hooked_builtins"]

_DYNAMIC = frozenset({"__import__", "exec", "eval", "builtins", "__builtins__"})


def needs_hooked_builtins(mentioned: Mentioned, hidden: frozenset[str]) -> bool:
    """Tell whether code mentions a name through which it could import at run time, or a hidden module.

    Args:
        mentioned: By the code of a module.
        hidden: Top-level names that it does not get from the environment.
    """
    return mentioned.any_of(_DYNAMIC) or not hidden.isdisjoint(map(top_level, mentioned.names))


def builtins_for(mount: Mount) -> dict[str, Any]:
    """Return the builtins of modules of *mount* that import at run time: `__import__` looks there first."""
    if mount.builtins is None:
        mount.builtins = _make_builtins(mount)
    return mount.builtins


def _stand_in_for(mount: Mount, name: str, importer: types.FrameType) -> types.ModuleType:
    module = mount.own_name(importer.f_globals.get("__name__", "")) or ""
    found = mount.lacking.import_for(
        name,
        at_module_level=not importer.f_code.co_flags & inspect.CO_OPTIMIZED,
        is_unguarded=lambda: mount.contents.is_unguarded(module, importer.f_lineno),
    )
    return cast("types.ModuleType", found)


def _make_builtins(mount: Mount) -> dict[str, Any]:
    original = builtins.__import__

    def __import__(  # noqa: A001, N807  it takes the place of a builtin
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level == 0 and mount.contents.answers_for(name):
            module = mount.import_packed(name)
            if fromlist:
                # Imports the submodules that fromlist names, as for any package.
                return original(module.__name__, globals, locals, fromlist, 0)
            return sys.modules[f"{mount.name}.{name.partition('.')[0]}"]
        if level == 0:
            mount.check_external(name)
            if mount.lacking.has(name):
                # Without a list of names the statement binds the first part.
                return _stand_in_for(mount, name if fromlist else top_level(name), sys._getframe(1))  # noqa: SLF001
        return original(name, globals, locals, fromlist, level)

    return {**builtins.__dict__, "__import__": __import__}
