"""Tensors from their description in the manifest, without a pickle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from operator import mul
from typing import Any, Protocol, cast

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.storage import UntypedStorage

from wardian.domain.manifest import TensorEntry, TensorForm, TensorPart
from wardian.tensors.index import COMPRESSED, ELEMENTS_IN_A_BYTE, NESTED, QUANTISED

__all__ = ["Bytes", "NotDescribedError", "rebuild"]


class NotDescribedError(TypeError):
    """The description of a tensor says that only code can make it."""


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
            return _strided(entry, source.placed)
        if form.type is not None:
            raise NotDescribedError(form.type)
        return _rebuild(entry, form, source)
    except (RuntimeError, KeyError, OverflowError) as error:  # such as a number of elements that overflows
        raise ValueError(str(error)) from None


def _rebuild(entry: TensorEntry, form: TensorForm, source: Bytes) -> torch.Tensor:
    if form.layout == "uninitialized":
        kind: Any = UninitializedParameter if entry.kind == "parameter" else UninitializedBuffer
        tensor: torch.Tensor = kind(requires_grad=False, dtype=_dtype(entry.dtype), device="cpu")
        return tensor
    if form.layout == "strided" and form.qscheme is None:
        if entry.record is None:
            if len(entry.shape) != len(entry.stride):
                raise ValueError("shape and stride differ in length")
            return torch.empty_strided(entry.shape, entry.stride, dtype=_dtype(entry.dtype), device="meta")
        tensor = _strided(entry, source.placed)
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
        return torch.sparse_coo_tensor(
            parts["indices"], values, entry.shape, device=values.device, check_invariants=True
        )
    if form.layout == "nested":
        if not parts["offsets"].numel():  # of no components PyTorch knows no sizes
            return torch.nested.nested_tensor([], dtype=values.dtype)
        _check_nested(parts)
        return torch._nested_view_from_buffer(values, parts["sizes"], parts["strides"], parts["offsets"])
    if form.layout == "jagged":
        _check_jagged(parts, form.axis)
        return torch.nested.nested_tensor_from_jagged(
            values, parts["offsets"], parts.get("lengths"), jagged_dim=form.axis
        )
    layout = cast("torch.layout", getattr(torch, form.layout))
    compressed, plain = COMPRESSED[layout]
    return torch.sparse_compressed_tensor(
        parts[compressed],
        parts[plain],
        values,
        entry.shape,
        layout=layout,
        device=values.device,
        check_invariants=True,
    )


def _check_nested(parts: Mapping[str, torch.Tensor]) -> None:
    """Check what torch does not: that every element lies in the values."""
    sizes, strides, offsets = (parts[role] for role in NESTED)
    axes = [part.dim() for part in (sizes, strides, offsets, parts["values"])]
    if {sizes.dtype, strides.dtype, offsets.dtype} != {torch.int64} or axes != [2, 2, 1, 1]:
        raise ValueError("its parts are not of the kind that they must be")
    reach = 0
    for size, stride, offset in zip(sizes.tolist(), strides.tolist(), offsets.tolist(), strict=True):
        if min([*size, *stride, offset]) < 0:
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
    dtype = _dtype(entry.dtype)
    held = _place(entry, dtype, source.on_host)
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
    return tensor.set_(held, entry.offset, entry.shape, entry.stride)


def _strided(part: TensorPart | TensorEntry, storage: Callable[[str], UntypedStorage]) -> torch.Tensor:
    dtype = _dtype(part.dtype)
    if dtype in QUANTISED:  # torch makes it without a scheme, and crashes when it is used
        raise ValueError(f"a {dtype} needs a scheme")
    held = _place(part, dtype, storage)
    return torch.empty(0, dtype=dtype, device=held.device).set_(held, part.offset, part.shape, part.stride)


def _place(
    part: TensorPart | TensorEntry, dtype: torch.dtype, storage: Callable[[str], UntypedStorage]
) -> UntypedStorage:
    """Return the storage of a part, all elements of which it has."""
    record, shape, stride = part.record, part.shape, part.stride
    if record is None:
        raise ValueError("it has no record")
    if len(shape) != len(stride):
        raise ValueError("shape and stride differ in length")
    held = storage(record)
    # The sum of (n - 1) * s over all axes
    last = part.offset + sum(map(mul, shape, stride)) - sum(stride)
    packed = ELEMENTS_IN_A_BYTE.get(dtype, 1)
    if 0 not in shape and -(-(last + 1) * dtype.itemsize // packed) > held.nbytes():
        raise ValueError("its elements lie outside of its record")
    return held


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if isinstance(dtype, torch.dtype):
        return dtype
    raise ValueError(f"unknown dtype {name!r}")
