"""`sys` as packed code sees it: packed modules are under their own names."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = ["Sys"]


class _Modules(dict[str, types.ModuleType]):
    """`sys.modules` as packed code sees it: a packed module is found under its own name, too.

    It is a view: every item is read from and written to the real `sys.modules`.
    """

    def __init__(self, mount: Mount) -> None:
        super().__init__()
        self._mount = mount

    def _name(self, name: str) -> str:
        return f"{self._mount.name}.{name}" if self._mount.contents.packs_top_level_of(name) else name

    def __getitem__(self, name: str) -> types.ModuleType:
        return sys.modules[self._name(name)]

    def __setitem__(self, name: str, module: types.ModuleType) -> None:
        sys.modules[self._name(name)] = module

    def __delitem__(self, name: str) -> None:
        del sys.modules[self._name(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._name(name) in sys.modules

    def __iter__(self) -> Iterator[str]:
        return iter(sys.modules)

    def __len__(self) -> int:
        return len(sys.modules)

    def get(self, name: str, default: Any = None) -> Any:
        return sys.modules.get(self._name(name), default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        return sys.modules.setdefault(self._name(name), default)

    def pop(self, name: str, *default: Any) -> Any:
        return sys.modules.pop(self._name(name), *default)

    def keys(self) -> Any:
        return sys.modules.keys()

    def values(self) -> Any:
        return sys.modules.values()

    def items(self) -> Any:
        return sys.modules.items()

    def copy(self) -> dict[str, types.ModuleType]:
        return sys.modules.copy()

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, module in dict(*args, **kwargs).items():
            self[name] = module


class Sys(types.ModuleType):
    """`sys` with the mount's view of `modules`; all else is read from and written to `sys` itself."""

    def __init__(self, mount: Mount) -> None:
        super().__init__("sys", sys.__doc__)
        self.__dict__["modules"] = _Modules(mount)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system sets what belongs to this module object; everything else is meant for sys.
        if name in ("__spec__", "__loader__", "__package__", "__path__", "__file__"):
            super().__setattr__(name, value)
        else:
            setattr(sys, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(sys, name)

    def __dir__(self) -> list[str]:
        return dir(sys)
