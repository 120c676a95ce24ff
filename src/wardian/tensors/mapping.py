"""The tensors of a case by name, without unpickling and without code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch.storage import UntypedStorage

from wardian.archive import ArchiveReader, FolderReader
from wardian.archive.layout import STORAGE_NAME
from wardian.errors import CodeNeededError, CorruptCaseError
from wardian.manifest import Manifest, TensorEntry
from wardian.names import RecordName
from wardian.tensors.index import NotDescribedError, rebuild
from wardian.tensors.storages import StorageReader, storage_record

__all__ = ["TensorMapping"]


_FREE_PARTS = 16 << 20
_MOST_PARTS = 64
"""Bytes of the parts of all tensors, 16 for each element: so many, and for each byte of storage records."""


class TensorMapping(Mapping[str, torch.Tensor]):
    """Tensors by name, each mapped from the file, and its records checked, when it is asked for.

    Tensors that share memory in the object share it here.

    Args:
        archive: The open archive.
        manifest: Its manifest.
        entry: Only tensors of this entry point. With None and several entry points, names begin with
            `<entry>:`.
        map_location: As for `torch.load`.
        mapped: Map the file, as for `StorageReader.of`.
        verify: Check what is read, as for `StorageReader.of`.
        check: Called with each storage record before it is used.

    Raises:
        CorruptCaseError: if two tensors have one name, or one belongs to no entry point.
    """

    def __init__(
        self,
        archive: ArchiveReader | FolderReader,
        manifest: Manifest,
        entry: str | None = None,
        *,
        map_location: Any = None,
        mapped: bool = True,
        verify: bool = False,
        check: Callable[[RecordName], None] | None = None,
    ) -> None:
        self._reader = StorageReader.of(archive, map_location, mapped=mapped, verify=verify)
        self._path = str(archive.path)
        self._records = manifest.records
        self._check = check
        several = entry is None and len(manifest.entries) > 1
        entry_names = {e.name for e in manifest.entries}
        self._entries: dict[str, TensorEntry] = {}
        for t in manifest.tensors:
            if t.entry not in entry_names:
                raise self._corrupt(t, f"there is no entry point {t.entry!r}")
            if entry in (None, t.entry):
                name = f"{t.entry}:{t.name}" if several else t.name
                if self._entries.setdefault(name, t) is not t:
                    raise self._corrupt(t, "there are two of this name")
        self._check_parts()

    def _check_parts(self) -> None:
        """Refuse tensors whose parts are many times what is in the file: PyTorch goes through all of them.

        A part of one element can be seen any number of times, by a stride of 0.
        """
        special = [(t, t.form.parts) for t in self._entries.values() if t.form is not None and t.form.parts]
        if not special:
            return
        held = sum(digest.size for name, digest in self._records.items() if STORAGE_NAME.fullmatch(name))
        left = _FREE_PARTS + _MOST_PARTS * held
        for t, parts in special:
            left -= 16 * sum(prod(part.shape) for part in parts.values())
            if left < 0:
                raise self._corrupt(t, f"its parts have far more elements than {held:,} bytes of storages")

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return a tensor.

        Raises:
            KeyError: if there is none of this name.
            CorruptCaseError: if its bytes or its description are damaged.
            CodeNeededError: if it is of a class of its own, and only that can make it.
        """
        entry = self._entries[name]
        try:
            return rebuild(entry, self)
        except NotDescribedError as error:
            raise CodeNeededError(
                f"{self._path}: tensor {entry.name!r} is a {error}, which only the code of that class can"
                " make; load the object: wardian.load(path)",
                path=self._path,
                tensor=entry.name,
            ) from None
        except CorruptCaseError:
            raise
        except ValueError as error:
            raise self._corrupt(entry, str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def describe(self, name: str) -> TensorEntry:
        """Return what the manifest says of a tensor.

        Raises:
            KeyError: if there is none of this name.
        """
        return self._entries[name]

    def placed(self, record: str) -> UntypedStorage:
        """Return the bytes of a storage record where `map_location` wants them."""
        return self._reader.placed(self._checked(record))

    def on_host(self, record: str) -> UntypedStorage:
        """Return the bytes of a storage record on the CPU."""
        return self._reader.on_host(self._checked(record))

    def _checked(self, record: str) -> str:
        key = record.removeprefix(".data/").removesuffix(".storage")
        if storage_record(key) != record or record not in self._records:
            raise ValueError("it is not in a storage of the case")
        if self._check is not None:
            self._check(RecordName(record))
        return key

    def _corrupt(self, entry: TensorEntry, why: str) -> CorruptCaseError:
        return CorruptCaseError(
            f"{self._path}: tensor {entry.name!r} in {entry.record}: {why}",
            path=self._path,
            record=entry.record,
        )
