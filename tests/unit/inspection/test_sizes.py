"""How many bytes the values of a tensor take."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support import TENSOR
from wardian.domain.manifest import TensorForm, TensorPart
from wardian.inspection.sizes import bytes_of, parts_of, size_of

DTYPES = sorted({dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}, key=str)


def _part(record: str, *shape: int) -> TensorPart:
    return TensorPart(record=record, dtype="int64", shape=shape, stride=(1,), offset=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_size_of_an_element_is_that_of_torch(dtype: torch.dtype) -> None:
    assert size_of(str(dtype).removeprefix("torch.")) == dtype.itemsize


def test_a_tensor_takes_what_its_shape_says_and_none_without_values() -> None:
    assert bytes_of(TENSOR) == 24
    assert bytes_of(replace(TENSOR, shape=())) == 4
    assert bytes_of(replace(TENSOR, shape=(0, 5))) == 0
    assert bytes_of(replace(TENSOR, record=None)) == 0


def test_a_tensor_that_is_made_of_parts_takes_what_they_take() -> None:
    parts = {
        "indices": _part(".data/1.storage", 2, 4),
        "values": _part(".data/2.storage", 4),
    }
    sparse = replace(TENSOR, record=None, form=TensorForm(layout="sparse_coo", parts=parts))
    assert list(parts_of(sparse)) == [parts["indices"], parts["values"]]
    assert bytes_of(sparse) == 12 * 8
