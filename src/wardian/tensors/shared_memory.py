"""Which tensors of a module share memory, and so cannot have the values that a case has for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import torch

from wardian.domain.manifest import TensorEntry
from wardian.tensors.comparison import find_differences

__all__ = ["Written", "clashes"]

_ALIGNED = 16
"""Bytes of the largest element."""


class Written(NamedTuple):
    """A tensor of a module that is written to, and what a case has for it."""

    name: str
    tensor: torch.Tensor
    """Strided, with memory."""
    entry: TensorEntry
    key: str
    """Its name in the case."""


def clashes(written: Iterable[Written], values: Mapping[str, torch.Tensor]) -> Iterator[list[str]]:
    """Yield the names of those that would overwrite each other, or themselves, with something else.

    Args:
        written: Each tensor once.
        values: The tensors of the case. Only those are read of which this cannot be told otherwise.
    """
    for group in _groups(written):
        if not _lie_alike(group) and not _fit(group, values):
            yield [each.name for each in group]


def _groups(written: Iterable[Written]) -> Iterator[list[Written]]:
    """Yield those that lie in one region of memory, and each that may overlap itself.

    By addresses: two tensors of one array of numpy have two storages.
    """
    spans = [(str(each.tensor.device), _span(each.tensor), each) for each in written if each.tensor.numel()]
    groups: list[list[Written]] = []
    before, end = "", 0
    for device, (start, stop), each in sorted(spans, key=lambda found: found[:2]):
        if device != before or start >= end:
            groups.append([])
            before, end = device, stop
        groups[-1].append(each)
        end = max(end, stop)
    return (group for group in groups if len(group) > 1 or _may_overlap_itself(group[0].tensor))


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    """Return the address of the first byte of a tensor, and the one after its last."""
    start, size = tensor.data_ptr(), tensor.dtype.itemsize
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (last + 1) * size


def _may_overlap_itself(tensor: torch.Tensor) -> bool:
    axes = sorted((step, n) for n, step in zip(tensor.shape, tensor.stride(), strict=True) if n > 1)
    reach = 0
    for step, n in axes:
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


def _lie_alike(group: list[Written]) -> bool:
    """Tell whether what shares memory does so in the case, in the same way."""
    return all(
        each.entry.form is None and each.entry.stride == each.tensor.stride() for each in group
    ) and all(
        (one.entry.record, one.entry.dtype, one.tensor.dtype)
        == (other.entry.record, other.entry.dtype, other.tensor.dtype)
        and (other.entry.offset - one.entry.offset) * one.tensor.dtype.itemsize
        == other.tensor.data_ptr() - one.tensor.data_ptr()
        for one, other in pairwise(group)
    )


def _fit(group: list[Written], values: Mapping[str, torch.Tensor]) -> bool:
    """Write to memory that lies as that of the group, and tell whether all are there in the end."""
    spans = [_span(each.tensor) for each in group]
    start = min(spans)[0] // _ALIGNED * _ALIGNED
    memory = torch.empty(
        max(stop for _, stop in spans) - start, dtype=torch.uint8, device=group[0].tensor.device
    ).untyped_storage()
    seen = [_seen(each.tensor, memory, start) for each in group]
    for place, each in zip(seen, group, strict=True):
        place.copy_(values[each.key])
    return not any(
        find_differences(values[each.key].to(place.dtype), place)
        for place, each in zip(seen, group, strict=True)
    )


def _seen(tensor: torch.Tensor, memory: torch.UntypedStorage, start: int) -> torch.Tensor:
    offset = (tensor.data_ptr() - start) // tensor.dtype.itemsize
    seen = torch.empty(0, dtype=tensor.dtype, device=memory.device)
    seen.set_(memory, offset, tensor.shape, tensor.stride())
    seen = seen.conj() if tensor.is_conj() else seen
    return torch._neg_view(seen) if tensor.is_neg() else seen
