"""Values that a process has made before, by key."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from wardian.forks import new_lock

__all__ = ["Memory"]

_V = TypeVar("_V")


class Memory(Generic[_V]):
    """Values by key, the oldest of which go when there are too many; threads may share it.

    Args:
        limit: Most bytes that the values may take, by what `get` is told of their size.

    >>> memory: Memory[str] = Memory(limit=100)
    >>> memory.get("key", lambda: ("value", 60)), memory.get("key", lambda: ("never made", 1))
    ('value', 'value')
    >>> memory.get("other", lambda: ("value", 60)), memory.get("key", lambda: ("made again", 60))
    ('value', 'made again')
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._values: dict[Hashable, tuple[_V, int]] = {}
        self._lock = new_lock()

    def get(self, key: Hashable, make: Callable[[], tuple[_V, int]]) -> _V:
        """Return the value of *key*; *make* gives it, with its size in bytes, if it is not known."""
        with self._lock:
            known = self._values.pop(key, None)
            if known is not None:
                self._values[key] = known  # the last to go
                return known[0]
        value, size = make()
        with self._lock:
            before = self._values.pop(key, None)
            self._size += size - (0 if before is None else before[1])
            self._values[key] = value, size
            while self._size > self._limit:
                self._size -= self._values.pop(next(iter(self._values)))[1]
        return value
