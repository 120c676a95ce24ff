"""Which tensors of a case have elements in common without being the same tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import torch

from wardian.domain.manifest import TensorEntry

__all__ = ["overlapping"]


def overlapping(entries: Iterable[TensorEntry]) -> Iterator[tuple[int, int]]:
    """Yield pairs of tensors that have elements in common, by their numbers.

    A tensor is compared with that one before it in its record that reaches furthest, so not all pairs are
    told.

    Args:
        entries: What a case says of the tensors, and what is known to be so: that they lie in their records.
            Those made of parts are left out.
    """
    plain = [(n, e, _span(e)) for n, e in enumerate(entries) if e.record is not None and 0 not in e.shape]
    plain.sort(key=lambda found: (found[1].record or "", found[2], found[0]))
    for _, group in groupby(plain, key=lambda found: found[1].record):
        (number, widest, (_, end)), *others = group
        for other, entry, (start, stop) in others:
            if start < end and _meet(widest, entry):
                yield number, other
            if stop > end:
                number, widest, end = other, entry, stop


def _size(entry: TensorEntry) -> int:
    dtype: torch.dtype = getattr(torch, entry.dtype)
    return dtype.itemsize


def _span(entry: TensorEntry) -> tuple[int, int]:
    """Return the first byte of a tensor in its record, and the one after its last."""
    last = entry.offset + sum((n - 1) * step for n, step in zip(entry.shape, entry.stride, strict=True))
    return entry.offset * _size(entry), (last + 1) * _size(entry)


def _meet(one: TensorEntry, other: TensorEntry) -> bool:
    """Tell whether two tensors whose bytes lie in the same region have any in common, as columns have not."""
    if one.dtype != other.dtype:
        return True
    size = _size(one)
    start, stop = (f(_span(e)[side] for e in (one, other)) // size for f, side in ((min, 0), (max, 1)))
    marks = torch.zeros(stop - start, dtype=torch.bool, device="cpu")
    _seen(one, marks, start).fill_(True)
    return bool(_seen(other, marks, start).any())


def _seen(entry: TensorEntry, marks: torch.Tensor, start: int) -> torch.Tensor:
    """Return the elements of a tensor, each of those of a stride of 0 once: only so they can be written."""
    shape = [1 if step == 0 else size for size, step in zip(entry.shape, entry.stride, strict=True)]
    return marks.as_strided(shape, entry.stride, entry.offset - start)
