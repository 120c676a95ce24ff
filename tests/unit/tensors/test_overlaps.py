"""Which tensors of a case have elements in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from wardian.domain.manifest import TensorEntry
from wardian.tensors.overlaps import overlapping


def described(tensor: torch.Tensor, record: str | None = ".data/0.storage") -> TensorEntry:
    return TensorEntry(
        entry="model",
        name="tensor",
        record=record,
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=tuple(tensor.shape),
        stride=tensor.stride(),
        offset=int(tensor.storage_offset()),
        requires_grad=False,
        kind="buffer",
    )


@pytest.mark.parametrize(
    ("views", "pairs"),
    [
        (lambda m: (m, m[2:]), [(0, 1)]),
        (lambda m: (m[2:], m), [(1, 0)]),
        (lambda m: (m, m), [(0, 1)]),
        (lambda m: (m[:4], m[4:]), []),
        (lambda m: (m[:, :4], m[:, 4:]), []),
        (lambda m: (m[:, :4], m[:, 3:]), [(0, 1)]),
        (lambda m: (m[:1].expand(5, 8), m[:, 2]), [(0, 1)]),
        (lambda m: (m, m[8:]), []),  # without elements
        (lambda m: (m, m.view(torch.int32)[3]), [(0, 1)]),
        (lambda m: (m[0], m[1:4], m[5:], m[6]), [(2, 3)]),
        (lambda m: (m, m[1], m[7]), [(0, 1), (0, 2)]),
    ],
)
def test_views_of_one_memory(
    views: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], pairs: list[tuple[int, int]]
) -> None:
    assert list(overlapping(map(described, views(torch.zeros(8, 8))))) == pairs


def test_other_records_and_none() -> None:
    memory = torch.zeros(2)
    entries = [described(memory, record) for record in (".data/0.storage", ".data/1.storage", None, None)]
    assert list(overlapping(entries)) == []
