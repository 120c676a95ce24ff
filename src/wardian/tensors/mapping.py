"""The tensors of a case by name, without unpickling and without code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from itertools import islice
from math import prod
from typing import Any

import torch
from torch.storage import UntypedStorage

from wardian.archive import ArchiveReader, FolderReader
from wardian.collector import collector_paused
from wardian.domain.manifest import Manifest, TensorEntry
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage, storage_key, storage_record
from wardian.errors import CodeNeededError, CorruptCaseError
from wardian.tensors.rebuilding import NotDescribedError, rebuild
from wardian.tensors.storages import StorageReader
from wardian.wording import MissingNameError, count_text, with_article

__all__ = ["TensorMapping", "named_entries"]


_SHOWN = 3
"""Names that the repr of a mapping has."""
_FREE_PARTS = 16 << 20
_MOST_PARTS = 64
"""Bytes of the parts of all tensors, 16 for each element: so many, and for each byte of storage records."""


class TensorMapping(Mapping[str, torch.Tensor]):
    """Tensors by name, each mapped from the file, and its records checked, when it is asked for.

    Tensors that share memory in the object share it here.

    Args:
        archive: The open archive.
        manifest: Its manifest.
        entries: The tensors by name, from `named_entries`.
        map_location: As for `torch.load`.
        mapped: Map the file, as for `StorageReader.of`.
        verify: Check what is read, as for `StorageReader.of`.
        check: Called with storage records before they are used.
        check_together: Called with those that will be used together; others take its word.
    """

    def __init__(
        self,
        archive: ArchiveReader | FolderReader,
        manifest: Manifest,
        entries: Mapping[str, TensorEntry],
        *,
        map_location: Any = None,
        mapped: bool = True,
        verify: bool = False,
        check: Callable[[Iterable[RecordName]], None] | None = None,
        check_together: Callable[[Iterable[RecordName]], None] | None = None,
    ) -> None:
        self._archive = archive
        self._reader = StorageReader.of(archive, map_location, mapped=mapped, verify=verify)
        self._path = archive.label
        self._records = manifest.records
        self._check = check
        self._check_together = check_together
        self._entries = entries

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return a tensor.

        Raises:
            KeyError: if there is none of this name.
            CorruptCaseError: if its bytes or its description are damaged.
            CodeNeededError: if it is of a class of its own, and only that can make it.
        """
        entry = self.describe(name)
        try:
            return rebuild(entry, self)
        except NotDescribedError as error:
            raise CodeNeededError(
                f"{self._path}: tensor {entry.name!r} is {with_article(str(error))}, which only the code of"
                " that class can make; load the object: wardian.load(path)",
                path=self._path,
                tensor=entry.name,
            ) from None
        except CorruptCaseError:
            raise
        except ValueError as error:
            raise _corrupt(self._path, entry, str(error)) from None

    def part(self, name: str, region: tuple[slice, ...]) -> torch.Tensor:
        """Return a part of a tensor, for which nothing else of the file is read where it lies in one piece.

        Args:
            name: As for `self[name]`.
            region: A slice with start and stop for each dimension.

        Raises:
            KeyError, CorruptCaseError, CodeNeededError: as for `self[name]`.
        """
        entry, seen = self.describe(name), self[name][region]
        if entry.form is not None or entry.record is None or not seen.is_contiguous():
            return seen
        start = int(seen.storage_offset()) * seen.itemsize
        try:
            return self._reader.read_part(storage_key(entry.record), start, seen)
        except ValueError as error:
            raise _corrupt(self._path, entry, str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def describe(self, name: str) -> TensorEntry:
        """Return what the manifest says of a tensor.

        Raises:
            KeyError: if there is none of this name.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise MissingNameError(f"tensor in {self._path}:", name, self._entries) from None

    def __repr__(self) -> str:
        few = ", ".join(islice(self._entries, _SHOWN)) + (", ..." if len(self) > _SHOWN else "")
        return f"<{count_text(len(self), 'tensor')} of {self._path}{few and f': {few}'}>"

    @collector_paused()
    def read(self, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """Return some tensors by name, whose records are checked together, with one look at the file.

        Raises:
            KeyError, CorruptCaseError, CodeNeededError: as for one.
        """
        names = list(names)
        checked = copy(self)
        if self._check is not None:
            self._check(record for record in self._records_for(names) if record in self._records)
            checked._check = None
        return {name: checked[name] for name in names}

    def fetch(self, names: Iterable[str] | None = None) -> None:
        """Bring the records of tensors here that are not, in as few requests as that takes.

        Args:
            names: Their names; None means all.
        """
        self._archive.fetch(self._records_for(names))

    def check(self, names: Iterable[str] | None = None) -> None:
        """Check what tensors are made of, before they are used one by one; what is not here comes.

        Of several processes of a machine one checks; the others wait for it, and read nothing.

        Args:
            names: Their names; None means all.

        Raises:
            KeyError: if there is none of such a name.
            CorruptCaseError: if a record is damaged.
        """
        if self._check_together is not None:
            self._check_together(name for name in self._records_for(names) if name in self._records)
        elif self._archive.absent():
            self.fetch(names)

    def _records_for(self, names: Iterable[str] | None) -> list[RecordName]:
        entries = self._entries.values() if names is None else map(self.describe, names)
        return sorted({RecordName(record) for entry in entries for record in _records_of(entry)})

    def placed(self, record: str) -> UntypedStorage:
        """Return the bytes of a storage record where `map_location` wants them."""
        return self._reader.placed(self._checked(record))

    def on_host(self, record: str) -> UntypedStorage:
        """Return the bytes of a storage record on the CPU."""
        return self._reader.on_host(self._checked(record))

    def _checked(self, record: str) -> str:
        key = storage_key(record)
        if storage_record(key) != record or record not in self._records:
            raise ValueError("it is not in a storage of the case")
        if self._check is not None:
            self._check([RecordName(record)])
        return key


def _records_of(entry: TensorEntry) -> Iterator[str]:
    """Yield the records that the values of a tensor are in."""
    parts = entry.form.parts.values() if entry.form is not None else ()
    yield from (part.record for part in (entry, *parts) if part.record is not None)


def named_entries(manifest: Manifest, entry: str | None, path: str) -> dict[str, TensorEntry]:
    """Return what the manifest says of the tensors of a case, by name.

    Args:
        manifest: Of the case.
        entry: Only tensors of this entry point. With None and several entry points, names begin with
            `<entry>:`.
        path: Of the case, for messages.

    Raises:
        CorruptCaseError: if two tensors have one name, one belongs to no entry point, or their parts are far
            larger than what is in the file.
    """
    several = entry is None and len(manifest.entries) > 1
    entry_names = {e.name for e in manifest.entries}
    found: dict[str, TensorEntry] = {}
    for t in manifest.tensors:
        if t.entry not in entry_names:
            raise _corrupt(path, t, f"there is no entry point {t.entry!r}")
        if entry in (None, t.entry):
            name = f"{t.entry}:{t.name}" if several else t.name
            if found.setdefault(name, t) is not t:
                raise _corrupt(path, t, "there are two of this name")
    _check_parts(found.values(), manifest, path)
    return found


def _check_parts(entries: Iterable[TensorEntry], manifest: Manifest, path: str) -> None:
    """Refuse tensors whose parts are many times what is in the file: PyTorch goes through all of them.

    A part of one element can be seen any number of times, by a stride of 0.
    """
    special = [(t, t.form.parts) for t in entries if t.form is not None and t.form.parts]
    if not special:
        return
    held = sum(digest.size for name, digest in manifest.records.items() if is_storage(name))
    left = _FREE_PARTS + _MOST_PARTS * held
    for t, parts in special:
        left -= 16 * sum(prod(part.shape) for part in parts.values())
        if left < 0:
            raise _corrupt(path, t, f"its parts have far more elements than {held:,} bytes of storages")


def _corrupt(path: str, entry: TensorEntry, why: str) -> CorruptCaseError:
    return CorruptCaseError(
        f"{path}: tensor {entry.name!r} in {entry.record}: {why}", path=path, record=entry.record
    )
