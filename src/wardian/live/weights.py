"""The weights of a case by name, without code and without unpickling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from wardian.archive import ArchiveReader
from wardian.errors import CorruptCaseError
from wardian.manifest import Manifest, TensorEntry
from wardian.tensors import StorageReader

__all__ = ["TensorMapping"]


class TensorMapping(Mapping[str, torch.Tensor]):
    """Tensors by name, each mapped from the file when it is asked for.

    Args:
        archive: The open archive.
        manifest: Its manifest.
        entry: Only tensors of this entry point. With None and several entry points, names begin with
            `<entry>:`.
    """

    def __init__(self, archive: ArchiveReader, manifest: Manifest, entry: str | None = None) -> None:
        self._reader = StorageReader.of(archive)
        self._path = str(archive.path)
        several = entry is None and len(manifest.entries) > 1
        self._entries: dict[str, TensorEntry] = {
            (f"{t.entry}:{t.name}" if several else t.name): t for t in manifest.tensors if entry in (None, t.entry)
        }

    def __getitem__(self, name: str) -> torch.Tensor:
        entry = self._entries[name]
        dtype = getattr(torch, entry.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise self._corrupt(entry, f"unknown dtype {entry.dtype!r}")
        storage = self._reader.raw(entry.record.removeprefix(".data/").removesuffix(".storage"))
        if len(entry.shape) != len(entry.stride):
            raise self._corrupt(entry, "shape and stride differ in length")
        last = entry.offset + sum((n - 1) * s for n, s in zip(entry.shape, entry.stride, strict=True))
        if 0 not in entry.shape and (last + 1) * dtype.itemsize > storage.nbytes():
            raise self._corrupt(entry, "its elements lie outside of its record")
        tensor = torch.empty(0, dtype=dtype).set_(storage, entry.offset, entry.shape, entry.stride)  # type: ignore[call-overload]
        return tensor.requires_grad_(False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def kind(self, name: str) -> str:
        """Return `parameter`, `buffer` or `transient`."""
        return self._entries[name].kind

    def _corrupt(self, entry: TensorEntry, why: str) -> CorruptCaseError:
        return CorruptCaseError(
            f"{self._path}: tensor {entry.name!r} in {entry.record}: {why}", path=self._path, record=entry.record
        )
