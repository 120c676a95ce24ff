"""Which entry point of a case is meant."""

from __future__ import annotations

from collections.abc import Sequence

from wardian.domain.manifest import Entry
from wardian.errors import EntryNotFoundError

__all__ = ["find_entry"]


def find_entry(entries: Sequence[Entry], name: str | None, path: str) -> Entry:
    """Return the entry point of a name; without one, the only one that there is.

    Raises:
        EntryNotFoundError: if there is none, or no name was given and there are several; *path* is the case.
    """
    if name is None:
        if len(entries) == 1:
            return entries[0]
        choices = " or ".join(f"name={entry.name!r}" for entry in entries)
        raise EntryNotFoundError(f"{path} has several entry points: say which, with {choices}")
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(repr(entry.name) for entry in entries) or "none"
    raise EntryNotFoundError(f"{path} has no entry point {name!r}; it has {known}")
