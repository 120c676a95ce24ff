"""Entry points that share objects, and are made together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wardian.domain.manifest import Entry
from wardian.errors import CorruptCaseError
from wardian.forks import new_lock

__all__ = ["Groups"]


class Groups:
    """Give each object of a group once; one that is asked for again, or elsewhere, makes all of them anew.

    Args:
        path: The case, for messages.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = new_lock()
        self._left: dict[str, tuple[Any, dict[str, Any]]] = {}
        """For each group, its `map_location`, and the objects that are made and were not given yet."""

    def take(self, group: Entry, name: str, map_location: Any, make: Callable[[], Any]) -> Any:
        """Return the object of the entry point *name*.

        Args:
            group: The entry that holds it, together with others.
            name: The entry point.
            map_location: Where its tensors go, as for `torch.load`.
            make: Makes all of the group, there.

        Raises:
            CorruptCaseError: if what is made is no dictionary with all of them.
        """
        with self._lock:
            location, members = self._left.get(group.name, (None, {}))
            if name not in members or location != map_location:
                found = make()
                named = group.name.split("+")
                if not isinstance(found, dict) or not found.keys() >= set(named):
                    raise CorruptCaseError(
                        f"{self._path}: {group.record} is no dictionary with {' and '.join(named)}",
                        path=self._path,
                        record=group.record,
                    )
                members = dict(found)
                self._left[group.name] = map_location, members
            return members.pop(name)

    def clear(self) -> None:
        """Forget what nobody asked for."""
        self._left.clear()
