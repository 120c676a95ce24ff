"""What a tensor of a module is, for one that wants to write to it."""

from __future__ import annotations

import pytest
import torch

from wardian.tensors.targets import UNINITIALIZED, is_replaced, is_shard, kind_of


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.eye(2), "strided"),
        (torch.eye(2).to_sparse(), "sparse_coo"),
        (torch.nn.parameter.UninitializedBuffer(), "strided"),
    ],
)
def test_the_layout_of_a_tensor_is_told(tensor: torch.Tensor, kind: str) -> None:
    assert kind_of(tensor) == kind
    assert not is_shard(tensor)
    assert is_replaced(tensor, assign=True)


def test_what_cannot_be_written_to_is_replaced() -> None:
    assert not is_replaced(torch.ones(3), assign=False)
    assert is_replaced(torch.ones(3, device="meta"), assign=False)
    assert is_replaced(torch.ones(1).expand(3), assign=False)
    assert all(is_replaced(kind(), assign=False) for kind in UNINITIALIZED)
