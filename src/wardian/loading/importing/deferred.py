"""Packages whose `__init__` waits until an attribute needs it (docs/reference/format.md, 5.4)."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["DeferredPackage"]

_bootstrap: Any = importlib._bootstrap  # noqa: SLF001  its locks are the ones that imports hold

_IMPORT_SYSTEM = frozenset(
    [
        "__class__",
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
            if name in attributes or name == "__dict__":
                return super().__getattribute__(name)
            now = sys.modules.get(attributes["__name__"])
            if now is not None and now is not self:
                return getattr(now, name)
            with _import_lock(attributes["__name__"]):  # another thread may be running it
                # Not super(): by now the class may be another.
                return types.ModuleType.__getattribute__(self, name)
        code, loader = waiting
        if name != "__dict__" and not _may_bind(code, name):
            if name in attributes or (name.startswith("__") and name.endswith("__")):
                return super().__getattribute__(name)
            if loader.mount.contents.has_module(f"{loader.module.name}.{name}"):
                return importlib.import_module(f"{loader.name}.{name}")
        _run(self, attributes)
        # A package may put another object in its place (transformers' lazy modules do).
        return getattr(sys.modules.get(loader.name, self), name)

    def __dir__(self) -> list[str]:
        self.__dict__  # noqa: B018  runs it
        now = sys.modules.get(self.__name__)
        return list(types.ModuleType.__dir__(self)) if now is None or now is self else dir(now)


@contextmanager
def _import_lock(name: str) -> Iterator[None]:
    """Hold the lock that importing module *name* holds.

    It sees when threads wait for each other in a circle; then it lets one go on with what there is, as the
    import system does (importlib._bootstrap._lock_unlock_module).
    """
    lock = _bootstrap._get_module_lock(name)  # noqa: SLF001
    try:
        lock.acquire()
    except _bootstrap._DeadlockError:  # noqa: SLF001
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _may_bind(code: types.CodeType, name: str) -> bool:
    # A star import binds names that only running it can tell.
    return name in code.co_names or ("*",) in code.co_consts


def _run(module: DeferredPackage, attributes: dict[str, Any]) -> None:
    with _import_lock(attributes["__name__"]):
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
