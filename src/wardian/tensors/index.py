"""The manifest's description of a tensor, made from the tensor, and back (docs/reference/format.md, 3.6).

What is described can be made again from storage records alone, without unpickling and without code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from wardian.collector import collector_paused
from wardian.domain.live_names import original_name
from wardian.domain.manifest import TensorEntry, TensorForm, TensorPart
from wardian.domain.names import PlainTensor
from wardian.domain.record_names import storage_record
from wardian.tensors.named import NamedTensor, named_tensors

__all__ = ["COMPRESSED", "ELEMENTS_IN_A_BYTE", "NESTED", "QUANTISED", "tensor_index"]

_PLAIN = (torch.Tensor, nn.Parameter, nn.Buffer)
COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}
"""Layout → its compressed and its plain indices."""
_JAGGED = ("torch.nested._internal.nested_tensor", "NestedTensor")
"""A class of Python; its module takes long to import."""
NESTED = {
    "sizes": "_nested_tensor_size",
    "strides": "_nested_tensor_strides",
    "offsets": "_nested_tensor_storage_offsets",
}

ELEMENTS_IN_A_BYTE = {torch.quint4x2: 2, torch.quint2x4: 4}
"""Elements in a byte, for dtypes whose `itemsize` is a whole byte all the same."""

QUANTISED = {torch.qint8, torch.quint8, torch.qint32, *ELEMENTS_IN_A_BYTE}

_KeyOf = Callable[[torch.Tensor], str | None]
_Described = Callable[[torch.Tensor], PlainTensor | None]


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
            {"values": tensor.values(), **{k: getattr(tensor, v)() for k, v in NESTED.items()}}, key_of
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
        **{name: getattr(tensor, name)() for name in COMPRESSED[tensor.layout]},
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
