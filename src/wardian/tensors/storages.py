"""Storages in a case: written once, mapped without a copy (docs/reference/format.md, 4.2)."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.serialization import _get_restore_location, location_tag
from torch.storage import TypedStorage, UntypedStorage
from torch.utils._device import _device_constructors

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.names import PlainTensor
from wardian.domain.record_names import storage_key, storage_record
from wardian.tensors.host import bytes_on_host, copied, filled, map_descriptor

if TYPE_CHECKING:
    from wardian.archive.writer import ArchiveWriter

__all__ = [
    "StorageReader",
    "StorageWriter",
    "device_by",
    "faking",
    "is_meta",
    "load_from_bytes",
    "restoring",
]

_DTYPES: dict[Any, torch.dtype] = {
    UntypedStorage: torch.uint8,
    **{getattr(torch, name): dtype for dtype, name in torch.storage._dtype_to_storage_type_map().items()},
}
"""Storage class → dtype; its own `dtype` attribute warns."""


_CLASSES = {dtype: kind for kind, dtype in _DTYPES.items() if kind is not UntypedStorage}


def _storage_class(dtype: torch.dtype) -> Any:
    kind = _CLASSES.get(dtype)
    if kind is None:
        raise TypeError(f"PyTorch has no storage of {dtype}, so that no pickle can name it")
    return kind


# Those that torch pickles with a typed storage; of the others `_rebuild_tensor_v3` takes an untyped one.
_NAMES: dict[torch.dtype, str] = {
    dtype: kind.__name__ for dtype, kind in _CLASSES.items() if dtype not in torch.storage._new_dtypes()
}


_COPIED = 64
"""A storage up to this size is copied when it is read; of larger ones the copies would be felt."""


@cache
def _reduces_as_known() -> bool:
    """Tell whether this torch pickles a plain tensor as `StorageWriter.describe` says."""
    sample = torch.ones(2, 3, device="cpu")[:, 1:]
    function, (storage, *rest) = sample.__reduce_ex__(4)  # type: ignore[no-untyped-call]
    known = [1, (2, 2), (3, 1), False, OrderedDict()]
    return function is torch._utils._rebuild_tensor_v2 and type(storage) is TypedStorage and rest == known


def is_meta(map_location: Any) -> bool:
    """Tell whether `map_location` sends all tensors to the meta device, where they have no values."""
    return isinstance(map_location, str | torch.device) and torch.device(map_location).type == "meta"


class StorageWriter:
    """Give storages persistent ids and write each one once.

    One writer serves all pickles of a case, so that a storage they share is in the case once.
    """

    def __init__(self, archive: ArchiveWriter) -> None:
        self._archive = archive
        # Keyed by the address of the storage; the storage is held, because a freed one would give its
        # address, and with it its number, to the next.
        self._known: dict[int, tuple[str, UntypedStorage]] = {}
        # By the address of the tensor, which is held for the same reason.
        self._described: dict[int, tuple[PlainTensor, torch.Tensor]] = {}
        self.offsets: dict[str, tuple[int, int]] = {}
        """Storage number → (offset of its bytes in the file, size in bytes)."""

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        """Return the persistent id of *obj* if it is a storage (docs/reference/format.md, 4.2), else None."""
        if isinstance(obj, TypedStorage):
            storage = obj._untyped_storage
            kind = _storage_class(obj.dtype)
            elements = storage.nbytes() // obj.dtype.itemsize
        elif isinstance(obj, UntypedStorage):
            storage, kind, elements = obj, UntypedStorage, obj.nbytes()
        else:
            return None
        location = "cpu" if storage.device.type == "cpu" else location_tag(storage)
        return ("storage", kind, self.add(storage), location, elements)

    def add(self, storage: UntypedStorage) -> str:
        """Write *storage* unless it was written before, and return its number."""
        known = self._known.get(storage._cdata)
        if known is not None:
            return known[0]
        key = self._number(storage)
        self._known[storage._cdata] = (key, storage)
        size = storage.nbytes()
        offset = self._archive.add_storage(bytes_on_host(storage), size)
        self.offsets[key] = (offset, size)
        return key

    def _number(self, storage: UntypedStorage) -> str:
        """Return the number under which the archive will know *storage*, which it does not have yet."""
        return str(len(self._known))

    kind = torch.Tensor
    """The type of the tensors that `describe` knows; subclasses have their own ways."""

    def describe(self, tensor: torch.Tensor) -> PlainTensor | None:
        """Return what `Tensor.__reduce_ex__` says of a plain tensor of the CPU, None of any other.

        The storage is written. The tensor is held, so that no other gets its address.
        """
        if (
            tensor.layout is not torch.strided
            or tensor.__dict__
            or tensor.is_quantized
            or tensor.is_nested
            or tensor._backward_hooks
            or tensor._post_accumulate_grad_hooks
            or tensor.is_conj()
            or tensor.is_neg()
            or not tensor.is_cpu
            or tensor.dtype not in _NAMES
            or not _reduces_as_known()
        ):
            return None
        storage = tensor.untyped_storage()
        dtype = tensor.dtype
        plain = PlainTensor(
            self.add(storage),
            _NAMES[dtype],
            storage.nbytes() // dtype.itemsize,
            int(tensor.storage_offset()),
            tuple(tensor.shape),
            tensor.stride(),
            tensor.requires_grad,
        )
        self._described[id(tensor)] = plain, tensor
        return plain

    def described(self, tensor: torch.Tensor) -> PlainTensor | None:
        """Return what `describe` said of *tensor*, None if it was not asked or did not know it."""
        known = self._described.get(id(tensor))
        return None if known is None else known[0]

    def key_of(self, tensor: torch.Tensor) -> str | None:
        """Return the number of the storage of *tensor*, or None if it was not written."""
        known = self._known.get(tensor.untyped_storage()._cdata)
        return None if known is None else known[0]


def _as_tensor(storage: UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


class StorageReader:
    """Make storages from a file or from memory, without copying those of a file that may be mapped.

    Args:
        whole: Returns all that `offsets` counts in, private to the caller; called once. None if storages are
            read one by one.
        offsets: Storage number → (offset, size in bytes), None for what has no place.
        read: Returns the bytes of a storage by number; used if *whole* or the offset is None.
        map_location: As for `torch.load`.
    """

    def __init__(
        self,
        whole: Callable[[], UntypedStorage] | None,
        offsets: Callable[[str], tuple[int, int] | None],
        read: Callable[[str], UntypedStorage] | None = None,
        map_location: Any = None,
    ) -> None:
        self._whole_of = whole
        self._offsets = offsets
        self._read = read
        self._restore = _get_restore_location(map_location)  # type: ignore[no-untyped-call]
        self._to_meta = is_meta(map_location)
        self._whole: UntypedStorage | None = None
        self._loaded: dict[str, UntypedStorage] = {}
        self._sizes: dict[str, int] = {}
        self._raw: dict[str, UntypedStorage] = {}
        self._scripts: Any = None
        self._read_part: Callable[[str, memoryview, int], None] | None = None
        """Reads a part of a storage of a file, by number, from an offset in bytes."""
        self._unmapped: frozenset[str] = frozenset()
        """Storages that were not here when the file was mapped: they are read, and not taken from the
        mapping, where a page that a caller wrote to would not see what comes."""

    @classmethod
    def of(
        cls,
        archive: ArchiveReader | FolderReader,
        map_location: Any = None,
        *,
        mapped: bool = True,
        verify: bool = False,
    ) -> StorageReader:
        """Return a reader for the storages of *archive*.

        Args:
            archive: Where they are.
            map_location: As for `torch.load`.
            mapped: Map the file, if it is one and not in memory anyway; else each storage is read when it is
                needed.
            verify: Check what is read so.
        """

        def content(key: str) -> UntypedStorage:
            name = storage_record(key)
            if isinstance(archive, FolderReader):
                return copied(archive.read(name))
            try:
                size = archive.location(name)[1]
            except ValueError:  # deflated, by who has zipped the archive anew
                return copied(archive.read(name))

            def fill(memory: memoryview) -> None:
                archive.read_into(name, memory)
                if verify and not archive.is_in_memory:
                    archive.check(name, memory)

            return filled(size, fill)

        def place(key: str) -> tuple[int, int] | None:
            try:
                return archive.location(storage_record(key))
            except ValueError:
                return None

        reader = cls(_whole(archive) if mapped else None, place, content, map_location)
        if not isinstance(archive, FolderReader) and not archive.is_in_memory:
            reader._read_part = lambda key, memory, start: archive.read_into(
                storage_record(key), memory, start
            )
        reader._unmapped = frozenset(map(storage_key, archive.absent()))
        return reader

    @property
    def loaded(self) -> Mapping[str, UntypedStorage]:
        """The storages that were asked for, where `map_location` wants them, by number."""
        return self._loaded

    def share(self, storages: Mapping[str, UntypedStorage]) -> None:
        """Take storages that others have loaded already; what is faked has none."""
        if not faking():
            self._loaded.update(storages)
            # With these TorchScript shares, too.
            self._raw.update((key, s) for key, s in storages.items() if s.device.type == "cpu")
            self._sizes.update((key, storage.nbytes()) for key, storage in storages.items())

    @property
    def script_context(self) -> Any:
        """The table by which objects of TorchScript share storages with those of this reader."""
        if self._scripts is None:
            self._scripts = torch._C.DeserializationStorageContext()
            for key, storage in self._raw.items():
                self._scripts.add_storage(f"{key}.storage", _as_tensor(storage))
        return self._scripts

    def persistent_load(self, pid: Any) -> Any:
        """Return the typed storage that a persistent id names (docs/reference/format.md, 4.2).

        Raises:
            ValueError: if *pid* is not the id of a storage, or its size is not that of the record.
        """
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise ValueError(f"unknown persistent id {pid!r:.80}")
        _, kind, key, location, elements = pid
        key = str(key)
        dtype = _DTYPES.get(kind) if isinstance(kind, type) else None
        if dtype is None or type(elements) is not int or not isinstance(location, str):
            raise ValueError(f"persistent id {pid!r:.80} has no storage class, size or location")
        storage = self.placed(key, location)
        # What is left after the last whole element belongs to the storage, too, which may have other views.
        if elements != storage.nbytes() // dtype.itemsize:
            raise ValueError(
                f"storage {key} has {storage.nbytes()} bytes, not {elements} elements of {dtype}"
            )
        return TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)  # type: ignore[no-untyped-call]

    def placed(self, key: str, location: str = "cpu") -> UntypedStorage:
        """Return the bytes of storage *key* where `map_location` wants them.

        Args:
            key: Its number.
            location: Where it was.
        """
        storage = self._loaded.get(key)
        if storage is None:
            place = self._offsets(key)
            if place is not None and faking():
                storage = self._fake(place[1], location)
            elif place is not None and self._to_meta:  # what is not looked at is not read
                storage = UntypedStorage(place[1], device="meta")  # type: ignore[no-untyped-call]
            else:
                storage = self._restore(self._shared(key, place), location)
            self._loaded[key] = storage
            self._sizes[key] = storage.nbytes()
        return storage

    def check_sizes(self) -> None:
        """Check that all storages have the size that they had when they were made.

        PyTorch refuses a tensor that reaches beyond a mapped storage, and lets one that can be resized grow,
        by bytes that nobody wrote.

        Raises:
            ValueError: if one has another size.
        """
        for key, storage in self._loaded.items():
            if storage.nbytes() != self._sizes[key]:
                raise ValueError(
                    f"a tensor reaches beyond storage {key}, which has {self._sizes[key]:,} bytes"
                )

    def _fake(self, size: int, location: str) -> UntypedStorage:
        """Return a storage without bytes, as `torch.load` does while tensors are faked."""
        storage = UntypedStorage(size, device="meta")  # type: ignore[no-untyped-call]
        placed = self._restore(UntypedStorage(0), location)  # type: ignore[no-untyped-call]
        storage._fake_device = placed.device
        return storage

    def read_part(self, key: str, start: int, seen: torch.Tensor) -> torch.Tensor:
        """Read a part of storage *key* in one piece, without the pages around it.

        Args:
            key: Its number.
            start: Where the part begins, in bytes.
            seen: A view of it, contiguous, in what `placed` has returned.

        Returns:
            A tensor with memory of its own; *seen* itself where the storage is not mapped.
        """
        if self._whole is None or self._read_part is None or key in self._unmapped:
            return seen
        read = self._read_part
        own = filled(seen.nbytes, lambda memory: read(key, memory, start))
        return torch.empty(0, dtype=seen.dtype, device="cpu").set_(own, 0, seen.shape, seen.stride())

    def on_host(self, key: str) -> UntypedStorage:
        """Return the bytes of storage *key* on the CPU."""
        return self._raw[key] if key in self._raw else self._shared(key, self._offsets(key))

    def _shared(self, key: str, place: tuple[int, int] | None) -> UntypedStorage:
        """Return the bytes of storage *key*, those that TorchScript has if it has them."""
        if self._scripts is None:
            raw = self._raw[key] = self._bytes_at(key, place)
            return raw
        name = f"{key}.storage"
        if self._scripts.has_storage(name):
            storage: UntypedStorage = self._scripts.get_storage(name, torch.uint8).untyped_storage()
            return storage
        raw = self._raw[key] = self._bytes_at(key, place)
        self._scripts.add_storage(name, _as_tensor(raw))
        return raw

    def raw(self, key: str) -> UntypedStorage:
        """Return the bytes of storage *key* on the CPU, private to the caller (copy on write)."""
        return self._bytes_at(key, self._offsets(key))

    def _bytes_at(self, key: str, place: tuple[int, int] | None) -> UntypedStorage:
        if place is not None and place[1] == 0:
            return UntypedStorage(0)  # type: ignore[no-untyped-call]
        if self._whole_of is None or place is None or key in self._unmapped:
            assert self._read is not None
            part = self._read(key)
        else:
            offset, size = place
            if self._whole is None:
                self._whole = self._whole_of()
            sliced = self._whole[offset : offset + size]
            assert isinstance(sliced, UntypedStorage)
            part = sliced
        # Observers of quantisation resize what they note, and only PyTorch's own memory can be resized.
        if part.nbytes() > _COPIED:
            return part
        # `part.clone()`, of which there may be a hundred thousand, by way of fewer functions.
        return UntypedStorage(part.nbytes(), device="cpu").copy_(part)  # type: ignore[no-untyped-call]


def _whole(archive: ArchiveReader | FolderReader) -> Callable[[], UntypedStorage] | None:
    """Return what gives the content of an archive in one; None where storages are better read one by one."""
    if isinstance(archive, FolderReader) or archive.descriptor is None:
        return None
    descriptor, size = archive.descriptor, len(archive)

    def whole() -> UntypedStorage:
        if archive.is_in_memory:  # what was small enough to be read at once is copied at once
            return copied(archive.whole())
        archive.require_whole()
        return map_descriptor(descriptor, size)

    return whole


def faking() -> bool:
    """Tell whether tensors are faked in this thread."""
    # `detect_fake_mode` takes long to see that they are not.
    possible = torch._C._len_torch_dispatch_stack() or torch._guards.TracingContext.try_get()
    return bool(possible) and torch._guards.detect_fake_mode(None) is not None


def device_by(map_location: Any) -> Callable[[str], torch.device]:
    """Return what tells the device for a location, as `torch.load` would place what was there."""
    restore = _get_restore_location(map_location)  # type: ignore[no-untyped-call]

    def device(location: str) -> torch.device:
        placed: torch.device = restore(UntypedStorage(0), location).device  # type: ignore[no-untyped-call]
        return placed

    return device


class _Devices(dict[Any, Any]):
    """The `map_location` of tensors whose device no storage tells; PyTorch asks it as a dictionary."""

    def __init__(self, map_location: Any) -> None:
        super().__init__()
        self._place = device_by(map_location)

    def get(self, device: Any, default: Any = None) -> Any:
        return self._place(str(device))


def load_from_bytes(map_location: Any) -> Callable[[bytes], Any]:
    """Return what loads a storage that was pickled as bytes, as `torch.storage._load_from_bytes` does.

    Args:
        map_location: Where it goes, as for `torch.load`.
    """

    def load(content: bytes) -> Any:
        return torch.load(io.BytesIO(content), map_location, weights_only=False)

    return load


class _NoDefaultDevice(TorchFunctionMode):
    """Lets functions that make tensors make them where they do without a default device.

    Another default device would not do: PyTorch makes a sparse tensor of parts, and must leave it where they
    are.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func in _device_constructors() and named.get("device") is None:
            with torch._C.DisableTorchFunction():
                return func(*args, **named)
        return func(*args, **named)


_EXPECTED = ("map_location", "sparse_tensors_to_validate")


@contextmanager
def restoring(map_location: Any = None) -> Iterator[None]:
    """Set for this thread what functions that pickles name expect of `torch.load`, their usual caller.

    Afterwards the sparse tensors that were loaded are checked, which PyTorch builds unchecked. The caller's
    default device is none here: tensors are where they were, or where *map_location* says.

    Args:
        map_location: As for `torch.load`.

    Raises:
        RuntimeError: if a sparse tensor contradicts itself.
    """
    state = torch.serialization._serialization_tls
    # In torch 2.13 the list is one of the process, `torch._utils._sparse_tensors_to_validate`, and
    # validating empties it.
    before = {name: getattr(state, name) for name in _EXPECTED if hasattr(state, name)}
    # PyTorch's own look-up takes no function, and finds no device in a dictionary with names of devices.
    state.map_location = None if map_location is None else _Devices(map_location)
    if "sparse_tensors_to_validate" in before:
        state.sparse_tensors_to_validate = []
    has_modes = torch._C._len_torch_function_stack() > 0
    try:
        with _NoDefaultDevice() if has_modes else nullcontext():
            yield
            torch._utils._validate_loaded_sparse_tensors()  # type: ignore[no-untyped-call]
    finally:
        for name, value in before.items():
            setattr(state, name, value)
