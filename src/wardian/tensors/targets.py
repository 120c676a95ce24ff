"""Facts about a tensor of a module that is to get a value: its layout, and whether it can be written to."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

__all__ = ["UNINITIALIZED", "is_replaced", "is_shard", "kind_of", "local_part"]

UNINITIALIZED = (UninitializedParameter, UninitializedBuffer)
"""Classes of tensors that get their shape with their first value."""


def kind_of(tensor: torch.Tensor) -> str:
    """Return the layout of a tensor, or that it is quantised.

    >>> kind_of(torch.eye(2)), kind_of(torch.eye(2).to_sparse())
    ('strided', 'sparse_coo')
    """
    if isinstance(tensor, UNINITIALIZED):
        return "strided"
    if tensor.is_nested:
        return "jagged" if tensor.layout == torch.jagged else "nested"
    return "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")


def is_replaced(tensor: torch.Tensor, assign: bool) -> bool:
    """Tell whether a place gets another tensor, for this one cannot be written to or shall not stay."""
    return assign or isinstance(tensor, UNINITIALIZED) or tensor.is_meta or _overlaps(tensor)


def _overlaps(tensor: torch.Tensor) -> bool:
    """Tell whether several elements are one in memory, as after `expand`: nothing can be written to those."""
    return kind_of(tensor) == "strided" and any(
        step == 0 and size > 1 for size, step in zip(tensor.shape, tensor.stride(), strict=True)
    )


def is_shard(tensor: torch.Tensor) -> bool:
    """Tell whether it is a `DTensor`, of which this rank has a part."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "placements")


def local_part(tensor: Any) -> torch.Tensor:
    """Return what this rank has of a shard."""
    local: torch.Tensor = tensor.to_local()
    return local
