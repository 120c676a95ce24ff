"""Whether a value can be pickled, found out by pickling it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Trials"]


class Trials:
    """Asks the pickler at work whether values can be pickled."""

    def __init__(self) -> None:
        self._fails: Callable[[Any], str | None] = _never
        self._trying: set[int] = set()

    @contextmanager
    def trying(self, fails: Callable[[Any], str | None]) -> Iterator[None]:
        """Try values, while the context lasts, by a function that returns why one cannot be pickled.

        Not for longer: the function holds the pickler's hooks, and so all that is packed, and they hold this.
        """
        self._fails = fails
        try:
            yield
        finally:
            self._fails = _never

    def why_not(self, value: Any) -> str | None:
        """Return why *value* cannot be pickled, None if it can."""
        return self._fails(value)

    def can_pickle(self, value: Any) -> bool:
        """Tell whether a value that can be left out can be pickled; not, if that leads back to it."""
        if id(value) in self._trying:
            return False
        self._trying.add(id(value))
        try:
            return self._fails(value) is None
        finally:
            self._trying.discard(id(value))


def _never(value: Any) -> str | None:
    return None
