"""Outputs are the same only if every bit is, but for the bits of NaN."""

from __future__ import annotations

import pytest
import torch

from wardian.tensors.selftest import find_difference

_DTYPES = [
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.complex64,
    torch.int64,
    torch.bool,
    torch.uint8,
]


@pytest.mark.parametrize("dtype", _DTYPES)
def test_equal_tensors_do_not_differ(dtype: torch.dtype) -> None:
    values = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).to(dtype)
    assert find_difference(values, values.clone()) is None
    assert find_difference(values.T, values.T.clone()) is None
    assert find_difference(values[:0], values[:0].clone()) is None
    assert find_difference(values[0, 0], values[0, 0].clone()) is None


@pytest.mark.parametrize("dtype", _DTYPES)
def test_one_other_value_is_told(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 1.0]).to(dtype)
    assert (
        find_difference({"logits": values}, {"logits": torch.tensor([1.0, 0.0]).to(dtype)})
        == "output['logits'] differs by up to 1"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_the_sign_of_zero_counts(dtype: torch.dtype) -> None:
    zero = torch.tensor([0.0]).to(dtype)
    assert find_difference(zero, -zero) is not None


def test_nan_in_the_same_place_is_the_same() -> None:
    values = torch.tensor([float("nan"), 1.0])
    assert find_difference(values, values.clone()) is None
    assert find_difference(values, -values) is not None
    other = torch.tensor([0x7FC00001, 0x3F800000], dtype=torch.int32).view(torch.float32)
    assert find_difference(values, other) is None
