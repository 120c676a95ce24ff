"""Unpickling at the speed of the C unpickler, with globals from a case."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from wardian.collector import collector_paused

__all__ = ["calling_importer", "unpickle"]


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, data: bytes, find_global: Callable[[str, str], Any], persistent_load: Callable[[Any], Any]
    ) -> None:
        super().__init__(io.BytesIO(data))
        self._find_global = find_global
        self._persistent_load = persistent_load

    def find_class(self, module: str, name: str) -> Any:
        return self._find_global(module, name)

    def persistent_load(self, pid: Any) -> Any:
        return self._persistent_load(pid)


def calling_importer(persistent_load: Callable[[Any], Any], importer: Any) -> Callable[[Any], Any]:
    """Return what loads persistent ids also of objects with `__reduce_package__` (docs/format.md, 4.3).

    Args:
        persistent_load: Loads all others.
        importer: What the functions that make those objects get.
    """
    made: dict[Any, Any] = {}

    def load(pid: Any) -> Any:
        if not isinstance(pid, tuple) or not pid or pid[0] != "reduce_package":
            return persistent_load(pid)
        if len(pid) == 3:  # before torch 1.10: no number, and no two references to one object
            return pid[1](importer, *pid[2])
        _, number, function, arguments = pid
        if number not in made:
            made[number] = function(importer, *arguments)
        return made[number]

    return load


def unpickle(
    data: bytes, *, find_global: Callable[[str, str], Any], persistent_load: Callable[[Any], Any]
) -> Any:
    """Build the object that *data* describes.

    Args:
        data: A pickle of any protocol.
        find_global: Returns the global of a module and dotted qualified name.
        persistent_load: Returns the object of a persistent id.

    Raises:
        pickle.UnpicklingError: and whatever the constructors inside raise.
    """
    with collector_paused():
        return _Unpickler(data, find_global, persistent_load).load()
