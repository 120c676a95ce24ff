"""The entries of `sys.path` when a template imported, to tell whether it would import the same now."""

from __future__ import annotations

import importlib.machinery
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["SearchPath"]


class SearchPath:
    """The entries of `sys.path`, as they are at this moment.

    It is made before a template looks: what changes meanwhile has another time.

    Args:
        path: The entries, in their order.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._entries: Mapping[str, Any] = {entry: (_time_of(entry), _listing(entry)) for entry in path}

    def is_untouched(self, path: Sequence[str]) -> bool:
        """Tell whether *path* has the same entries, and none has got or lost a file."""
        before = {entry: time for entry, (time, _) in self._entries.items()}
        return before == {entry: _time_of(entry) for entry in path}

    def finds_the_same(
        self, path: Sequence[str], asked: Collection[str], used: Collection[str], *, by_name: bool = False
    ) -> bool:
        """Tell whether what was imported would be found again in the same places.

        Args:
            path: The entries now.
            asked: Names of top-level modules that were looked for, found or not.
            used: Entries in which something was found.
            by_name: Whether a file in one of these may have come or gone if its name was not asked for.
        """
        times = {entry: _time_of(entry) for entry in path}
        return (
            [entry for entry in self._entries if entry in used] == [entry for entry in times if entry in used]
            and (by_name or all(self._entries[entry][0] == times[entry] for entry in used))
            and not any(
                _is_changed(before, _listing(entry), asked)
                for entry, time in times.items()
                for old, before in [self._entries.get(entry, (None, frozenset[str]()))]
                if entry not in self._entries or old != time
            )
        )


def _time_of(entry: str) -> int | None:
    """Return the time at which a folder last got or lost a file; None if it is none."""
    try:
        return os.stat(entry).st_mtime_ns
    except OSError:
        return None


def _listing(entry: str) -> frozenset[str] | None:
    """Return the names of what is in an entry of `sys.path`; None for an archive."""
    try:
        return frozenset(os.listdir(entry))
    except NotADirectoryError:
        return None
    except OSError:
        return frozenset()  # it is not there, or a hook: __editable__.mylib-1.0.finder.__path_hook__


def _is_changed(before: frozenset[str] | None, now: frozenset[str] | None, names: Collection[str]) -> bool:
    """Tell whether an entry of `sys.path` has got or lost one of some names, or distributions.

    Distributions may be plug-ins. An entry that has changed and is an archive may have anything.
    """
    if before is None or now is None:
        return True
    return any(
        (file.partition(".")[0] in names and ("." not in file or file.endswith(_IMPORTED)))
        or file.endswith((".dist-info", ".egg-info"))
        for file in before ^ now
    )


_IMPORTED = tuple(importlib.machinery.all_suffixes())
"""How files end that can be imported: `net.case` beside the package `net` is none."""
