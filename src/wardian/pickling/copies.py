"""Copies of an object by way of its pickle, and what they lack."""

from __future__ import annotations

import io
import pickle
import types
from typing import Any

__all__ = ["pickled_copy"]

_SHARED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
"""Types whose instances are in a pickle by name only, or not at all."""


def pickled_copy(obj: Any, shared: tuple[type, ...] = ()) -> Any:
    """Return what unpickling makes of the pickle of *obj*, in this process.

    Classes, functions and modules are the same ones, so that it does not matter whether they can be imported.

    Args:
        obj: Any object.
        shared: Further classes whose instances are not copied.

    Raises:
        Exception: whatever pickling or unpickling raises.
    """
    kept: list[Any] = []
    buffer = io.BytesIO()
    _Pickler(buffer, kept, (*_SHARED, *shared)).dump(obj)
    return _Unpickler(io.BytesIO(buffer.getvalue()), kept).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, kept: list[Any], shared: tuple[type, ...]) -> None:
        super().__init__(file, protocol=4)
        self._kept = kept
        self._shared = shared

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, self._shared):
            return None
        self._kept.append(obj)
        return len(self._kept) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, kept: list[Any]) -> None:
        super().__init__(file)
        self._kept = kept

    def persistent_load(self, pid: int) -> Any:
        return self._kept[pid]
