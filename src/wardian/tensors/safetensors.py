"""Weights as a `.safetensors` file, written and read without a copy in memory.

The format: eight bytes with the length of a header, little endian; the header, JSON; the values of every
tensor, contiguous, one after the other. docs/design/dependencies.md says why this is our own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.nn.parameter import is_lazy
from torch.storage import UntypedStorage

from wardian.archive.content import open_regular
from wardian.archive.replacing import ReplacingFile
from wardian.errors import WeightsFileError
from wardian.tensors.host import bytes_on_host, map_descriptor

__all__ = ["SafetensorsFile", "write_safetensors"]

_DTYPE_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F4": "float4_e2m1fn_x2",
}
_DTYPES: dict[str, torch.dtype] = {
    theirs: getattr(torch, ours) for theirs, ours in _DTYPE_NAMES.items() if hasattr(torch, ours)
}
"""An older torch lacks some."""
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_HALVES = "F4"
"""Counted in halves of what torch counts, along the last axis."""
_MAX_HEADER = 100_000_000
_MOST_AXES = 1024
_METADATA = "__metadata__"
_FREE_BYTES = 64 << 20
_MOST_TIMES = 16
"""A file of more bytes, and so many times what the storages have, is not written (the format, 7)."""
_COPIED = 32 << 20
"""Bytes that are copied at once of a tensor that is not contiguous."""


def write_safetensors(
    tensors: Mapping[str, torch.Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str]
) -> None:
    """Write tensors to a `.safetensors` file.

    The format has no shared memory: of tensors that are the same view of one storage the first by name is
    written, and the metadata have the others as `{other: first}`, as `safetensors.torch.save_model` notes
    them. Views that overlap in another way are written each.

    Args:
        tensors: Name → tensor.
        path: Where the file goes. An existing one is replaced when the new one is complete.
        metadata: Notes in its header.

    Raises:
        WeightsFileError: naming every tensor that the format cannot hold: sparse, quantised or nested ones,
            those without values, and dtypes that it does not know; or if the file would be far larger than
            what the tensors hold, because they are expanded.
        OSError: if the file cannot be written.
    """
    notes, kept = dict(metadata), dict[str, torch.Tensor]()
    first_of: dict[Any, str] = {}
    reasons = []
    for name in sorted(tensors):
        tensor = tensors[name]
        reason = "is named as its metadata are" if name == _METADATA else _why_not(tensor)
        if reason is not None:
            reasons.append(f"{name} {reason}")
            continue
        first = first_of.setdefault(_identity(tensor) if tensor.numel() else name, name)
        if first == name:
            kept[name] = tensor
        else:
            notes[name] = first
    if reasons:
        raise WeightsFileError(
            f"a safetensors file cannot hold {len(reasons)} of {len(tensors)} tensors: " + "; ".join(reasons),
            path=str(path),
        )
    _require_size(kept, path)
    # The largest elements first, so that all are aligned.
    order = sorted(kept, key=lambda name: (-kept[name].dtype.itemsize, name))
    with ReplacingFile(path) as file:
        file.write(_header({name: kept[name] for name in order}, notes))
        for name in order:
            for part in _parts(kept[name]):
                file.write(part)
        file.publish()


def _require_size(tensors: Mapping[str, torch.Tensor], path: str | os.PathLike[str]) -> None:
    """Refuse to write far more than there is: a view of one element can have any number of them."""
    storages = {storage._cdata: storage for storage in (t.untyped_storage() for t in tensors.values())}
    held = sum(storage.nbytes() for storage in storages.values())
    written = {name: tensor.numel() * tensor.dtype.itemsize for name, tensor in tensors.items()}
    if sum(written.values()) <= _FREE_BYTES + _MOST_TIMES * held:
        return
    largest = sorted(written, key=lambda name: -written[name])[:3]
    raise WeightsFileError(
        f"a safetensors file of these tensors would have {sum(written.values()):,} bytes, and they hold"
        f" {held:,}: the format has no views. The largest are {', '.join(largest)}; leave out what is"
        " expanded",
        path=str(path),
    )


def _why_not(tensor: torch.Tensor) -> str | None:
    if is_lazy(tensor):
        return "is not initialized yet"
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"is {str(tensor.layout).removeprefix('torch.') if not tensor.is_nested else 'nested'}"
    if tensor.is_quantized or tensor.dtype not in _NAMES:
        return f"is of {tensor.dtype}"
    return "has no values" if tensor.is_meta else None


def _identity(tensor: torch.Tensor) -> Any:
    view = (tensor.dtype, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    return (tensor.untyped_storage()._cdata, *view, tensor.is_conj(), tensor.is_neg())


def _header(tensors: Mapping[str, torch.Tensor], notes: Mapping[str, str]) -> bytes:
    document: dict[str, Any] = {_METADATA: dict(sorted(notes.items()))} if notes else {}
    offset = 0
    for name, tensor in tensors.items():
        shape = list(tensor.shape)
        if _NAMES[tensor.dtype] == _HALVES and shape:
            shape[-1] *= 2
        end = offset + tensor.numel() * tensor.dtype.itemsize
        document[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": shape,
            "data_offsets": [offset, end],
        }
        offset = end
    header = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header


def _parts(tensor: torch.Tensor) -> Iterator[bytes | memoryview]:
    """Yield the values in the order of the axes; of what does not lie so, a part at a time."""
    plain = not tensor.is_conj() and not tensor.is_neg()
    size = tensor.numel() * tensor.dtype.itemsize
    if not size:
        return
    if not (plain and tensor.is_contiguous()) and size > _COPIED and tensor.dim():
        for row in torch.split(tensor, max(1, _COPIED * len(tensor) // size)) if len(tensor) > 1 else tensor:
            yield from _parts(row)
        return
    values = tensor.resolve_conj().resolve_neg().contiguous()
    start = values.storage_offset() * values.dtype.itemsize
    storage = values.untyped_storage()[start : start + size]
    assert isinstance(storage, UntypedStorage)
    content = bytes_on_host(storage)
    if isinstance(content, bytes | memoryview):
        yield content
    else:
        yield from content


class SafetensorsFile(Mapping[str, torch.Tensor]):
    """The tensors of a `.safetensors` file by name, each mapped from it when it is asked for.

    They can be changed; the file does not. Names that the metadata have as `{other: first}` are there, too,
    and share the memory of the first.

    Args:
        path: The file.

    Attributes:
        metadata: The notes in its header.

    Raises:
        WeightsFileError: if it is none, or damaged.
        OSError: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        with os.fdopen(open_regular(self._path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > min(size - 8, _MAX_HEADER):
                raise self._wrong("its header does not fit")
            try:
                document = json.loads(file.read(length), object_pairs_hook=_no_duplicates)
            except (ValueError, RecursionError) as error:
                raise self._wrong(f"its header is no JSON: {error}") from None
            self._read(document, length, size)
            self._whole = map_descriptor(file.fileno(), size)

    def _read(self, document: Any, length: int, size: int) -> None:
        """Take what the header says.

        Args:
            document: The header.
            length: Its length, in bytes.
            size: That of the file.
        """
        if not isinstance(document, dict):
            raise self._wrong("its header is no JSON object")
        notes = document.pop(_METADATA, {})
        if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
            raise self._wrong("its metadata are not text")
        self.metadata: dict[str, str] = notes
        self._start = 8 + length
        self._places = {name: self._place(name, entry) for name, entry in document.items()}
        end = 0
        for begin, stop in sorted(place[2:] for place in self._places.values()):
            if begin != end:
                raise self._wrong("its tensors overlap, or leave gaps")
            end = stop
        if self._start + end != size:
            raise self._wrong(f"its tensors end at byte {self._start + end:,}, the file at {size:,}")
        self._same = {
            name: first for name, first in notes.items() if first in document and name not in document
        }
        self._names = (*document, *self._same)
        self._storages: dict[str, UntypedStorage] = {}

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return a tensor.

        Raises:
            KeyError: if there is none of this name.
        """
        name = self._same.get(name, name)
        dtype, shape, begin, end = self._places[name]
        storage = self._storages.get(name)
        if storage is None:
            part = self._whole[self._start + begin : self._start + end]
            assert isinstance(part, UntypedStorage)
            # What another writer did not align has to be copied.
            storage = self._storages[name] = (
                part if (self._start + begin) % dtype.itemsize == 0 else part.clone()  # type: ignore[no-untyped-call]
            )
        strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return torch.empty(0, dtype=dtype, device="cpu").set_(storage, 0, shape, strides)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{len(self)} tensors in {self._path}>"

    def _place(self, name: str, entry: Any) -> tuple[torch.dtype, tuple[int, ...], int, int]:
        """Return dtype, shape, begin and end of a tensor, checked."""
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise self._wrong(f"what it says of {name!r} is not complete")
        dtype, shape, offsets = _DTYPES.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
        if dtype is None:
            raise self._wrong(f"{name!r} is of the unknown dtype {entry['dtype']!r:.40}")
        if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
            raise self._wrong(f"{name!r} has no shape or place")
        if entry["dtype"] == _HALVES and shape:
            if shape[-1] % 2:
                raise self._wrong(f"{name!r} has half a byte")
            shape = [*shape[:-1], shape[-1] // 2]
        begin, end = offsets
        if end - begin != prod(shape) * dtype.itemsize or end >= 1 << 63:
            raise self._wrong(f"{name!r} has a place that does not fit its shape")
        return dtype, tuple(shape), begin, end

    def _wrong(self, why: str) -> WeightsFileError:
        return WeightsFileError(
            f"{self._path} is no safetensors file, or damaged: {why}", path=str(self._path)
        )


def _are_sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_AXES
        and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
    )


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result
