"""The manifest's description of a tensor, made from the tensor, and back (docs/format.md, 3.6).

What is described can be made again from storage records alone, without unpickling and without code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Protocol, cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.storage import UntypedStorage

from wardian.collector import collector_paused
from wardian.manifest import TensorEntry, TensorForm, TensorPart
from wardian.names import PlainTensor, original_name
from wardian.tensors.named import NamedTensor, named_tensors
from wardian.tensors.storages import storage_record

__all__ = ["Bytes", "NotDescribedError", "rebuild", "tensor_index"]

_PLAIN = (torch.Tensor, nn.Parameter, nn.Buffer)
_COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}
"""Layout → its compressed and its plain indices."""
_JAGGED = ("torch.nested._internal.nested_tensor", "NestedTensor")
"""A class of Python; its module takes long to import."""
_NESTED = {
    "sizes": "_nested_tensor_size",
    "strides": "_nested_tensor_strides",
    "offsets": "_nested_tensor_storage_offsets",
}

_ELEMENTS_IN_A_BYTE = {torch.quint4x2: 2, torch.quint2x4: 4}
"""Of dtypes whose `itemsize` is a whole byte all the same."""

_QUANTISED = {torch.qint8, torch.quint8, torch.qint32, *_ELEMENTS_IN_A_BYTE}

_KeyOf = Callable[[torch.Tensor], str | None]
_Described = Callable[[torch.Tensor], PlainTensor | None]


class NotDescribedError(TypeError):
    """The description of a tensor says that only code can make it."""


@collector_paused()
def tensor_index(
    obj: Any, entry: str, key_of: _KeyOf, described: _Described | None = None
) -> tuple[TensorEntry, ...]:
    """Return the manifest's index of the named tensors of *obj*.

    Tensors whose storages were not written, such as those a module makes anew for each state_dict, are
    left out.

    Args:
        obj: What is packed.
        entry: Name of its entry point.
        key_of: Returns the number of the storage of a tensor, None if it was not written.
        described: Returns what the pickle says of a plain tensor, None if it has to be asked again.
    """
    found: dict[str, TensorEntry] = {}
    for named in named_tensors(obj):
        if named.name not in found:
            plain = None if described is None else described(named.tensor)
            if plain is not None:
                found[named.name] = _as_pickled(named, entry, plain)
                continue
            other = _asked(named, entry, key_of)
            if other is not None:
                found[named.name] = other
    return tuple(found.values())


def _as_pickled(named: NamedTensor, entry: str, plain: PlainTensor) -> TensorEntry:
    return TensorEntry(
        entry=entry,
        name=named.name,
        record=storage_record(plain.storage),
        dtype=_dtype_name(named.tensor.dtype),
        shape=plain.shape,
        stride=plain.stride,
        offset=plain.offset,
        requires_grad=plain.requires_grad,
        kind=named.kind,
    )


def _asked(named: NamedTensor, entry: str, key_of: _KeyOf) -> TensorEntry | None:
    if not _is_plain(type(named.tensor)):
        return _special(named, entry, key_of)
    # A parameter of a class of its own may refuse to be asked.
    with torch._C.DisableTorchFunctionSubclass():
        return _plain(named, entry, key_of) or _special(named, entry, key_of)


def _plain(named: NamedTensor, entry: str, key_of: _KeyOf) -> TensorEntry | None:
    tensor = named.tensor
    if (
        tensor.layout != torch.strided
        or tensor.is_nested
        or tensor.is_meta
        or tensor.is_quantized
        or tensor.is_conj()
        or tensor.is_neg()
    ):
        return None
    key = key_of(tensor)
    if key is None:
        return None
    return TensorEntry(
        entry=entry,
        name=named.name,
        record=storage_record(key),
        dtype=_dtype_name(tensor.dtype),
        shape=tuple(tensor.shape),
        stride=tensor.stride(),
        offset=int(tensor.storage_offset()),
        requires_grad=tensor.requires_grad,
        kind=named.kind,
    )


def _is_plain(kind: type[torch.Tensor]) -> bool:
    # Subclasses of Parameter are pickled as Parameter, and given their class afterwards.
    return kind in _PLAIN or (
        issubclass(kind, nn.Parameter) and kind.__reduce_ex__ is nn.Parameter.__reduce_ex__
    )


def _special(named: NamedTensor, entry: str, key_of: _KeyOf) -> TensorEntry | None:
    tensor = named.tensor

    def made(
        form: TensorForm,
        shape: tuple[int, ...] = (),
        stride: tuple[int, ...] = (),
        record: str | None = None,
        offset: int = 0,
    ) -> TensorEntry:
        return TensorEntry(
            entry=entry,
            name=named.name,
            record=record,
            dtype=_dtype_name(tensor.dtype),
            shape=shape,
            stride=stride,
            offset=offset,
            requires_grad=tensor.requires_grad,
            kind=named.kind,
            form=form,
        )

    if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
        return made(TensorForm(layout="uninitialized"))
    if (type(tensor).__module__, type(tensor).__name__) == _JAGGED:
        return _jagged(tensor, key_of, made)
    if not _is_plain(type(tensor)):
        return _subclass(tensor, key_of, made)
    if tensor.is_nested:
        parts = _parts(
            {"values": tensor.values(), **{k: getattr(tensor, v)() for k, v in _NESTED.items()}}, key_of
        )
        return None if parts is None else made(TensorForm(layout="nested", parts=parts))
    shape = tuple(tensor.shape)
    if tensor.layout != torch.strided:
        parts = _parts(_components(tensor), key_of)
        layout = cast("Any", str(tensor.layout).removeprefix("torch."))
        return None if parts is None else made(TensorForm(layout=layout, parts=parts), shape)
    if tensor.is_meta:
        return made(TensorForm(), shape, tensor.stride())
    form = (
        _quantized(tensor, key_of)
        if tensor.is_quantized
        else TensorForm(conj=tensor.is_conj(), neg=tensor.is_neg())
    )
    key = key_of(tensor)
    if key is None or form is None:
        return None
    return made(form, shape, tensor.stride(), storage_record(key), int(tensor.storage_offset()))


def _subclass(tensor: torch.Tensor, key_of: _KeyOf, made: Callable[..., TensorEntry]) -> TensorEntry:
    """Describe a tensor of a class of its own; what its values mean is known to that class alone."""
    form = TensorForm(type=f"{original_name(type(tensor).__module__)}.{type(tensor).__qualname__}")
    return made(form, tuple(int(size) for size in tensor.shape))


def _jagged(tensor: Any, key_of: _KeyOf, made: Callable[..., TensorEntry]) -> TensorEntry | None:
    parts = {"values": tensor.values(), "offsets": tensor.offsets()}
    if tensor.lengths() is not None:
        parts["lengths"] = tensor.lengths()
    found = _parts(parts, key_of)
    return None if found is None else made(TensorForm(layout="jagged", axis=tensor._ragged_idx, parts=found))


def _components(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    if tensor.layout == torch.sparse_coo:
        return {"indices": tensor._indices(), "values": tensor._values()}
    return {
        "values": tensor.values(),
        **{name: getattr(tensor, name)() for name in _COMPRESSED[tensor.layout]},
    }


def _quantized(tensor: torch.Tensor, key_of: _KeyOf) -> TensorForm | None:
    qscheme = cast("Any", str(tensor.qscheme()).removeprefix("torch."))
    if tensor.qscheme() == torch.per_tensor_affine:
        return TensorForm(
            qscheme=qscheme, scale=float(tensor.q_scale()).hex(), zero_point=str(tensor.q_zero_point())
        )
    scales, zero_points = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    parts = _parts({"scales": scales, "zero_points": zero_points}, key_of)
    if parts is None:
        return None
    return TensorForm(qscheme=qscheme, axis=tensor.q_per_channel_axis(), parts=parts)


def _parts(tensors: Mapping[str, torch.Tensor], key_of: _KeyOf) -> dict[str, TensorPart] | None:
    parts: dict[str, TensorPart] = {}
    for role, tensor in sorted(tensors.items()):
        key = key_of(tensor)
        if key is None:
            return None
        parts[role] = TensorPart(
            record=storage_record(key),
            dtype=_dtype_name(tensor.dtype),
            shape=tuple(tensor.shape),
            stride=tensor.stride(),
            offset=int(tensor.storage_offset()),
        )
    return parts


@cache
def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Bytes(Protocol):
    """Where `rebuild` gets the bytes of storage records."""

    def placed(self, record: str) -> UntypedStorage:
        """Return a record on the device where the tensor shall be."""

    def on_host(self, record: str) -> UntypedStorage:
        """Return a record on the CPU."""


def rebuild(entry: TensorEntry, source: Bytes) -> torch.Tensor:
    """Make the tensor that *entry* describes.

    Args:
        entry: Its description.
        source: The bytes. Strided tensors use those they get, the others are made on the CPU and moved.

    Raises:
        NotDescribedError: if only the code of its class can make it.
        ValueError: if the description contradicts itself or its records.
    """
    form = entry.form
    try:
        if form is None:
            return _strided(_own_part(entry), source.placed)
        if form.type is not None:
            raise NotDescribedError(form.type)
        return _rebuild(entry, form, source)
    except (RuntimeError, KeyError, OverflowError) as error:  # such as a number of elements that overflows
        raise ValueError(str(error)) from None


def _own_part(entry: TensorEntry) -> TensorPart:
    if entry.record is None:
        raise ValueError("it has no record")
    return TensorPart(
        record=entry.record, dtype=entry.dtype, shape=entry.shape, stride=entry.stride, offset=entry.offset
    )


def _rebuild(entry: TensorEntry, form: TensorForm, source: Bytes) -> torch.Tensor:
    if form.layout == "uninitialized":
        kind: Any = UninitializedParameter if entry.kind == "parameter" else UninitializedBuffer
        tensor: torch.Tensor = kind(requires_grad=False, dtype=_dtype(entry.dtype))
        return tensor
    if form.layout == "strided" and form.qscheme is None:
        if entry.record is None:
            if len(entry.shape) != len(entry.stride):
                raise ValueError("shape and stride differ in length")
            return torch.empty_strided(entry.shape, entry.stride, dtype=_dtype(entry.dtype), device="meta")
        tensor = _strided(_own_part(entry), source.placed)
        tensor = tensor.conj() if form.conj else tensor
        return torch._neg_view(tensor) if form.neg else tensor
    parts = {role: _strided(part, source.on_host) for role, part in form.parts.items()}
    if form.layout == "strided":
        made, values = _rebuild_quantized(entry, form, parts, source), entry.record
    else:
        made, values = _rebuild_layout(entry, form, parts), form.parts["values"].record
    assert values is not None
    return made.to(source.placed(values).device)


def _rebuild_layout(entry: TensorEntry, form: TensorForm, parts: dict[str, torch.Tensor]) -> torch.Tensor:
    values = parts["values"]
    if form.layout == "sparse_coo":
        return torch.sparse_coo_tensor(parts["indices"], values, entry.shape, check_invariants=True)
    if form.layout == "nested":
        _check_nested(parts)
        return torch._nested_view_from_buffer(values, parts["sizes"], parts["strides"], parts["offsets"])
    if form.layout == "jagged":
        _check_jagged(parts, form.axis)
        return torch.nested.nested_tensor_from_jagged(
            values, parts["offsets"], parts.get("lengths"), jagged_dim=form.axis
        )
    layout = cast("torch.layout", getattr(torch, form.layout))
    compressed, plain = _COMPRESSED[layout]
    return torch.sparse_compressed_tensor(
        parts[compressed], parts[plain], values, entry.shape, layout=layout, check_invariants=True
    )


def _check_nested(parts: Mapping[str, torch.Tensor]) -> None:
    """Check what torch does not: that every element lies in the values."""
    sizes, strides, offsets = (parts[role] for role in _NESTED)
    if {sizes.dtype, strides.dtype, offsets.dtype} != {torch.int64} or parts["values"].dim() != 1:
        raise ValueError("its parts are not of the kind that they must be")
    reach = 0
    for size, stride, offset in zip(sizes.tolist(), strides.tolist(), offsets.tolist(), strict=True):
        if min(*size, *stride, offset) < 0:
            raise ValueError("a size, stride or offset is negative")
        if 0 not in size:
            reach = max(reach, offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)))
    if reach > parts["values"].numel():
        raise ValueError("its parts lie outside of its values")


def _check_jagged(parts: Mapping[str, torch.Tensor], axis: int | None) -> None:
    """Check what torch does not: that every row lies in the values."""
    ends = [parts[role] for role in ("offsets", "lengths") if role in parts]
    if any(end.dtype not in (torch.int32, torch.int64) or end.dim() != 1 for end in ends):
        raise ValueError("its offsets or lengths are not of the kind that they must be")
    values, offsets = parts["values"], parts["offsets"].tolist()
    if axis is None or not 1 <= axis <= values.dim():
        raise ValueError("its jagged axis is none of its axes")
    lengths = parts["lengths"].tolist() if "lengths" in parts else [b - a for a, b in pairwise(offsets)]
    stops = [start + length for start, length in zip(offsets[:-1], lengths, strict=True)]
    if (
        min([*offsets, *lengths], default=0) < 0
        or max([*offsets, *stops], default=0) > values.shape[axis - 1]
    ):
        raise ValueError("its rows lie outside of its values")


def _rebuild_quantized(
    entry: TensorEntry, form: TensorForm, parts: Mapping[str, torch.Tensor], source: Bytes
) -> torch.Tensor:
    part, dtype = _own_part(entry), _dtype(entry.dtype)
    held = _place(part, dtype, source.on_host)
    if form.qscheme == "per_tensor_affine":
        if form.scale is None or form.zero_point is None:
            raise ValueError("it has no scale or no zero point")
        scale, zero_point = float.fromhex(form.scale), int(form.zero_point)
        tensor = torch._empty_affine_quantized([0], scale=scale, zero_point=zero_point, dtype=dtype)
    else:
        scales, zero_points, axis = parts["scales"], parts["zero_points"], form.axis
        # What torch does not check.
        if axis is None or axis >= len(entry.shape):
            raise ValueError("the axis of its channels is none of its axes")
        if {scales.numel(), zero_points.numel()} != {entry.shape[axis]}:
            raise ValueError("it does not have one scale and one zero point for each channel")
        empty = [size if number == axis else 0 for number, size in enumerate(entry.shape)]
        tensor = torch._empty_per_channel_affine_quantized(
            empty, scales=scales, zero_points=zero_points, axis=axis, dtype=dtype
        )
    return tensor.set_(held, part.offset, part.shape, part.stride)


def _strided(part: TensorPart, storage: Callable[[str], UntypedStorage]) -> torch.Tensor:
    dtype = _dtype(part.dtype)
    if dtype in _QUANTISED:  # torch makes it without a scheme, and crashes when it is used
        raise ValueError(f"a {dtype} needs a scheme")
    held = _place(part, dtype, storage)
    return torch.empty(0, dtype=dtype, device=held.device).set_(held, part.offset, part.shape, part.stride)


def _place(part: TensorPart, dtype: torch.dtype, storage: Callable[[str], UntypedStorage]) -> UntypedStorage:
    """Return the storage of a part, all elements of which it has."""
    if len(part.shape) != len(part.stride):
        raise ValueError("shape and stride differ in length")
    held = storage(part.record)
    last = part.offset + sum((n - 1) * s for n, s in zip(part.shape, part.stride, strict=True))
    packed = _ELEMENTS_IN_A_BYTE.get(dtype, 1)
    if 0 not in part.shape and -(-(last + 1) * dtype.itemsize // packed) > held.nbytes():
        raise ValueError("its elements lie outside of its record")
    return held


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if isinstance(dtype, torch.dtype):
        return dtype
    raise ValueError(f"unknown dtype {name!r}")
