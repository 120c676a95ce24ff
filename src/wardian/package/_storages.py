"""Storages that objects of one importer share, as they were shared when they were saved.

Each object is loaded by itself. Tensors of two objects that had one storage get one again, as long as that is
there; but to load an object a second time gives another copy of it, which shares with second copies only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.multiprocessing.reductions import StorageWeakRef
from torch.storage import UntypedStorage

from wardian.forks import new_lock

__all__ = ["Copy", "SharedStorages"]


class Copy:
    """Objects that share storages: each of them once.

    Args:
        map_location: Where their tensors go.
    """

    def __init__(self, map_location: Any) -> None:
        self.map_location = map_location
        self.records: set[str] = set()
        self._storages: dict[str, StorageWeakRef] = {}

    def storages(self) -> dict[str, UntypedStorage]:
        """Return the storages that are still there, by number."""
        found = {}
        for key, reference in list(self._storages.items()):
            storage = UntypedStorage._new_with_weak_ptr(reference.cdata)
            if storage is not None:
                found[key] = storage
        return found

    def note(self, storages: Mapping[str, UntypedStorage]) -> None:
        """Note the storages that an object was loaded with; nothing here keeps them."""
        for key, storage in storages.items():
            self._storages[key] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]


class SharedStorages:
    """The copies that one importer has loaded."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._copies: list[Copy] = []

    def copy_for(self, record: str, map_location: Any) -> Copy:
        """Return what the next load of a record shares storages with.

        Args:
            record: Name of the pickle.
            map_location: As for `torch.load`; tensors elsewhere are shared among themselves.
        """
        with self._lock:
            self._copies = [copy for copy in self._copies if copy.storages()]
            for copy in self._copies:
                same = copy.map_location is map_location or (
                    isinstance(map_location, str) and copy.map_location == map_location
                )
                if same and record not in copy.records:
                    break
            else:
                copy = Copy(map_location)
                self._copies.append(copy)
            copy.records.add(record)
            return copy
