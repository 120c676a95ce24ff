"""Tensors: storages in a case, mapped and shared.

This is the only module of the engine that imports torch; it does so at its top, and is imported late.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.serialization import _get_restore_location, location_tag
from torch.storage import TypedStorage, UntypedStorage

from wardian.archive import ArchiveReader, ArchiveWriter
from wardian.names import RecordName

__all__ = [
    "NamedTensor",
    "StorageReader",
    "StorageWriter",
    "find_difference",
    "named_tensors",
    "run",
    "storage_record",
]

_SEED = 0
"""What `torch.manual_seed` is given before a self-test runs."""


_DTYPES: dict[Any, torch.dtype] = {
    UntypedStorage: torch.uint8,
    **{getattr(torch, name): dtype for dtype, name in torch.storage._dtype_to_storage_type_map().items()},
}
"""Storage class → dtype; its own `dtype` attribute warns."""


def storage_record(key: str) -> RecordName:
    """Return the record of storage *key* (docs/format.md, 2)."""
    return RecordName(f".data/{key}.storage")


class StorageWriter:
    """Give storages persistent ids and write each one once.

    One writer serves all pickles of a case, so that a storage they share is in the case once.
    """

    def __init__(self, archive: ArchiveWriter) -> None:
        self._archive = archive
        # Keyed by the address of the storage; the storage is held, because a freed one would give its
        # address, and with it its number, to the next.
        self._known: dict[int, tuple[str, UntypedStorage]] = {}
        self.offsets: dict[str, tuple[int, int]] = {}
        """Storage number → (offset of its bytes in the file, size in bytes)."""

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        """Return the persistent id of *obj* if it is a storage (docs/format.md, 4.2), else None."""
        if isinstance(obj, TypedStorage):
            storage = obj._untyped_storage
            kind = getattr(torch, obj._pickle_storage_type())
            elements = obj._size()
        elif isinstance(obj, UntypedStorage):
            storage, kind, elements = obj, UntypedStorage, obj.nbytes()
        else:
            return None
        return ("storage", kind, self.add(storage), location_tag(storage), elements)

    def add(self, storage: UntypedStorage) -> str:
        """Write *storage* unless it was written before, and return its number."""
        known = self._known.get(storage._cdata)
        if known is not None:
            return known[0]
        key = str(len(self._known))
        self._known[storage._cdata] = (key, storage)
        host = storage if storage.device.type == "cpu" else storage.cpu()
        size = host.nbytes()
        offset = self._archive.add_storage(_bytes_of(host), size)
        self.offsets[key] = (offset, size)
        return key

    def key_of(self, tensor: torch.Tensor) -> str | None:
        """Return the number of the storage of *tensor*, or None if it was not written."""
        known = self._known.get(tensor.untyped_storage()._cdata)
        return None if known is None else known[0]


def _bytes_of(storage: UntypedStorage) -> memoryview:
    """Return a view on the bytes of a CPU storage; the storage must outlive it."""
    size = storage.nbytes()
    if size == 0:
        return memoryview(b"")
    return memoryview((ctypes.c_char * size).from_address(storage.data_ptr())).cast("B")


class StorageReader:
    """Make storages from a file or from memory, without copying those of a file.

    Args:
        path: File that holds the storages, or None.
        offsets: Storage number → (offset in the file, size in bytes).
        read: Returns the bytes of a storage by number; used if *path* is None.
        map_location: As for `torch.load`.
    """

    def __init__(
        self,
        path: Path | None,
        offsets: Callable[[str], tuple[int, int]],
        read: Callable[[str], bytes | memoryview] | None = None,
        map_location: Any = None,
    ) -> None:
        self._path = path
        self._offsets = offsets
        self._read = read
        self._restore = _get_restore_location(map_location)
        self._whole: UntypedStorage | None = None
        self._loaded: dict[str, UntypedStorage] = {}

    @classmethod
    def of(cls, archive: ArchiveReader, map_location: Any = None) -> StorageReader:
        """Return a reader for the storages of *archive*."""
        return cls(
            archive.path,
            lambda key: archive.location(storage_record(key)),
            lambda key: archive.view(storage_record(key)),
            map_location,
        )

    def persistent_load(self, pid: Any) -> Any:
        """Return the typed storage that a persistent id names (docs/format.md, 4.2).

        Raises:
            ValueError: if *pid* is not the id of a storage, or its size is not that of the record.
        """
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise ValueError(f"unknown persistent id {pid!r:.80}")
        _, kind, key, location, elements = pid
        dtype = _DTYPES.get(kind)
        if dtype is None:
            raise ValueError(f"persistent id {pid!r:.80} has no storage class")
        storage = self._loaded.get(key)
        if storage is None:
            raw = self.raw(key)
            storage = self._loaded[key] = self._restore(raw, location)
        if elements * dtype.itemsize != storage.nbytes():
            raise ValueError(f"storage {key} has {storage.nbytes()} bytes, not {elements} elements of {dtype}")
        return TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)

    def raw(self, key: str) -> UntypedStorage:
        """Return the bytes of storage *key* on the CPU, private to the caller (copy on write)."""
        offset, size = self._offsets(key)
        if size == 0:
            return UntypedStorage(0)
        if self._path is None:
            assert self._read is not None
            return torch.frombuffer(bytearray(self._read(key)), dtype=torch.uint8).untyped_storage()
        if self._whole is None:
            # Private mapping: writes go to copied pages and never to the file.
            self._whole = UntypedStorage.from_file(str(self._path), False, self._path.stat().st_size)
        part = self._whole[offset : offset + size]
        assert isinstance(part, UntypedStorage)
        return part


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
        yield NamedTensor(prefix.removesuffix("."), obj, "parameter" if isinstance(obj, nn.Parameter) else "buffer")
    elif isinstance(obj, Mapping):
        for key, value in obj.items():
            if isinstance(key, str):
                yield from named_tensors(value, f"{prefix}{key}.")
    elif isinstance(obj, list | tuple):
        for index, value in enumerate(obj):
            yield from named_tensors(value, f"{prefix}{index}.")


def run(obj: Any, inputs: Any) -> Any:
    """Call *obj* as a self-test does: fixed seed, no gradients, the caller's random state kept.

    Args:
        obj: A callable.
        inputs: A tuple of positional or a dictionary of keyword arguments.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        return obj(**inputs) if isinstance(inputs, dict) else obj(*inputs)


def find_difference(expected: Any, actual: Any, where: str = "output") -> str | None:
    """Compare two outputs bit for bit.

    Returns:
        None if they are equal, else the place and kind of the first difference.
    """
    if isinstance(expected, torch.Tensor):
        return _tensor_difference(expected, actual, where)
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        if list(expected) != list(actual):
            return f"{where} has the keys {list(actual)}, not {list(expected)}"
        return _first(find_difference(expected[key], actual[key], f"{where}[{key!r}]") for key in expected)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            return f"{where} has {len(actual)} items, not {len(expected)}"
        pairs = enumerate(zip(expected, actual, strict=True))
        return _first(find_difference(e, a, f"{where}[{i}]") for i, (e, a) in pairs)
    if type(expected).__qualname__ != type(actual).__qualname__:
        return f"{where} is a {type(actual).__qualname__}, not a {type(expected).__qualname__}"
    state, other = getattr(expected, "__dict__", None), getattr(actual, "__dict__", None)
    if state and other is not None:
        return find_difference(state, other, where)
    if type(expected).__module__ == "builtins" and expected != actual and expected == expected:
        return f"{where} is {actual!r:.60}, not {expected!r:.60}"
    return None


def _first(found: Iterator[str | None]) -> str | None:
    return next((item for item in found if item is not None), None)


def _tensor_difference(expected: torch.Tensor, actual: Any, where: str) -> str | None:
    if not isinstance(actual, torch.Tensor):
        return f"{where} is a {type(actual).__qualname__}, not a tensor"
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        return f"{where} is {actual.dtype}{list(actual.shape)}, not {expected.dtype}{list(expected.shape)}"
    if expected.layout != torch.strided or expected.is_quantized or expected.device.type == "meta":
        return None if torch.equal(expected, actual) else f"{where} differs"
    mine, other = expected.detach().cpu(), actual.detach().cpu()
    equal = mine == other
    if mine.is_floating_point() or mine.is_complex():
        equal |= (mine != mine) & (other != other)  # NaN in the same places is equal
    if bool(equal.all()):
        return None
    wide = torch.complex128 if mine.is_complex() else torch.float64
    return f"{where} differs by up to {float((mine.to(wide) - other.to(wide)).abs().max()):g}"


def registered_namespaces() -> frozenset[str]:
    """Return the operator namespaces that are registered in this process."""
    return frozenset(name.partition("::")[0] for name in torch._C._dispatch_get_all_op_names())


