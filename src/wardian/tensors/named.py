"""Tensors by the names their modules know them by, in an object and in a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from wardian.archive import ArchiveReader, FolderReader
from wardian.errors import CorruptCaseError
from wardian.manifest import Manifest, TensorEntry
from wardian.tensors.storages import StorageReader, storage_record

__all__ = ["NamedTensor", "TensorMapping", "named_tensors", "tensor_index"]


class NamedTensor(NamedTuple):
    """A tensor of an object under the name its module knows it by."""

    name: str
    tensor: torch.Tensor
    kind: Literal["parameter", "buffer", "transient"]


def named_tensors(obj: Any, prefix: str = "") -> Iterator[NamedTensor]:
    """Yield the named tensors of *obj*: of modules, of mappings and sequences of them, of state_dicts.

    Args:
        obj: A module, tensor, mapping with string keys, list or tuple; anything else has none.
        prefix: What the names begin with.
    """
    if isinstance(obj, nn.Module):
        kept = set(obj.state_dict(keep_vars=True))
        for name, parameter in obj.named_parameters(remove_duplicate=False):
            yield NamedTensor(prefix + name, parameter, "parameter")
        for name, buffer in obj.named_buffers(remove_duplicate=False):
            yield NamedTensor(prefix + name, buffer, "buffer" if name in kept else "transient")
    elif isinstance(obj, torch.Tensor):
        yield NamedTensor(
            prefix.removesuffix("."), obj, "parameter" if isinstance(obj, nn.Parameter) else "buffer"
        )
    elif isinstance(obj, Mapping):
        for key, value in obj.items():
            if isinstance(key, str):
                yield from named_tensors(value, f"{prefix}{key}.")
    elif isinstance(obj, list | tuple):
        for index, value in enumerate(obj):
            yield from named_tensors(value, f"{prefix}{index}.")


def tensor_index(
    obj: Any, entry: str, key_of: Callable[[torch.Tensor], str | None]
) -> tuple[TensorEntry, ...]:
    """Return the manifest's index of the named tensors of *obj* whose values are plain.

    Args:
        obj: What is packed.
        entry: Name of its entry point.
        key_of: Returns the number of the storage of a tensor, None if it was not written.
    """
    found: dict[str, TensorEntry] = {}
    for name, tensor, kind in named_tensors(obj):
        if (
            tensor.layout != torch.strided
            or tensor.is_quantized
            or tensor.is_meta
            or tensor.is_conj()
            or tensor.is_neg()
        ):
            continue
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
            continue
        key = key_of(tensor)
        if key is None or name in found:
            continue
        found[name] = TensorEntry(
            entry=entry,
            name=name,
            record=storage_record(key),
            dtype=str(tensor.dtype).removeprefix("torch."),
            shape=tuple(tensor.shape),
            stride=tuple(tensor.stride()),
            offset=int(tensor.storage_offset()),
            requires_grad=tensor.requires_grad,
            kind=kind,
        )
    return tuple(found.values())


class TensorMapping(Mapping[str, torch.Tensor]):
    """Tensors by name, each mapped from the file when it is asked for.

    Args:
        archive: The open archive.
        manifest: Its manifest.
        entry: Only tensors of this entry point. With None and several entry points, names begin with
            `<entry>:`.

    Raises:
        CorruptCaseError: if two tensors have one name, or one belongs to no entry point.
    """

    def __init__(
        self, archive: ArchiveReader | FolderReader, manifest: Manifest, entry: str | None = None
    ) -> None:
        self._reader = StorageReader.of(archive)
        self._path = str(archive.path)
        self._records = manifest.records
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

    def __getitem__(self, name: str) -> torch.Tensor:
        entry = self._entries[name]
        dtype = getattr(torch, entry.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise self._corrupt(entry, f"unknown dtype {entry.dtype!r}")
        key = entry.record.removeprefix(".data/").removesuffix(".storage")
        if storage_record(key) != entry.record or entry.record not in self._records:
            raise self._corrupt(entry, "it is not a storage of the case")
        if len(entry.shape) != len(entry.stride):
            raise self._corrupt(entry, "shape and stride differ in length")
        storage = self._reader.raw(key)
        last = entry.offset + sum((n - 1) * s for n, s in zip(entry.shape, entry.stride, strict=True))
        if 0 not in entry.shape and (last + 1) * dtype.itemsize > storage.nbytes():
            raise self._corrupt(entry, "its elements lie outside of its record")
        try:
            tensor = torch.empty(0, dtype=dtype).set_(storage, entry.offset, entry.shape, entry.stride)
        except RuntimeError as error:  # such as a number of elements that overflows
            raise self._corrupt(entry, str(error)) from None
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
            f"{self._path}: tensor {entry.name!r} in {entry.record}: {why}",
            path=self._path,
            record=entry.record,
        )
