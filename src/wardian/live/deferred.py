"""Packages whose `__init__` waits until an attribute needs it (docs/format.md, 5.4)."""

from __future__ import annotations

import importlib
import sys
import threading
import types
from typing import Any

__all__ = ["DeferredPackage"]

_lock = threading.RLock()

_IMPORT_SYSTEM = frozenset(
    [
        "__class__",
        "__dict__",
        "__name__",
        "__path__",
        "__file__",
        "__spec__",
        "__loader__",
        "__package__",
        "__cached__",
        "__builtins__",
        "__doc__",
        "__wardian_deferred__",
        "__reduce_ex__",
        "__reduce__",
    ]
)


class DeferredPackage(types.ModuleType):
    """A package that was imported only because a module below it is; it has not run yet.

    Reading an attribute that its `__init__` could set runs it first; after that it is an ordinary package.
    """

    def __getattribute__(self, name: str) -> Any:
        if name in _IMPORT_SYSTEM:
            return super().__getattribute__(name)
        attributes = super().__getattribute__("__dict__")
        waiting = attributes.get("__wardian_deferred__")
        if waiting is None:
            now = sys.modules.get(attributes["__name__"])
            if now is not None and now is not self and name not in attributes:
                return getattr(now, name)
            return super().__getattribute__(name)
        code, loader = waiting
        if not _may_bind(code, name):
            if name in attributes or (name.startswith("__") and name.endswith("__")):
                return super().__getattribute__(name)
            if loader.root.is_module(f"{loader.module.name}.{name}"):
                return importlib.import_module(f"{loader.name}.{name}")
        _run(self, attributes)
        # A package may put another object in its place (transformers' lazy modules do).
        return getattr(sys.modules.get(loader.name, self), name)


def _may_bind(code: types.CodeType, name: str) -> bool:
    # A star import binds names that only running it can tell.
    return name in code.co_names or ("*",) in code.co_consts


def _run(module: DeferredPackage, attributes: dict[str, Any]) -> None:
    with _lock:
        waiting = attributes.pop("__wardian_deferred__", None)
        if waiting is None:  # another thread, or a circular import, has begun to run it
            return
        code, loader = waiting
        try:
            loader.run(module, code)
        except BaseException:
            attributes["__wardian_deferred__"] = waiting
            raise
        if sys.modules.get(loader.name) is module:
            module.__class__ = types.ModuleType  # type: ignore[assignment]
