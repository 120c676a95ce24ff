"""Outputs are the same only if every bit is, but for the bits of NaN."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wardian.tensors.selftest import find_differences

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
    assert not find_differences(values, values.clone())
    assert not find_differences(values.T, values.T.clone())
    assert not find_differences(values[:0], values[:0].clone())
    assert not find_differences(values[0, 0], values[0, 0].clone())


@pytest.mark.parametrize("dtype", _DTYPES)
def test_one_other_value_is_told(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 1.0]).to(dtype)
    (found,) = find_differences({"logits": values}, {"logits": torch.tensor([1.0, 0.0]).to(dtype)})
    assert str(found) == "output['logits'] differs by up to 1, its largest value is 1"
    assert found.size == 1
    assert not found.tolerated


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_the_sign_of_zero_counts(dtype: torch.dtype) -> None:
    zero = torch.tensor([0.0]).to(dtype)
    assert find_differences(zero, -zero)


def test_one_element_may_have_any_stride() -> None:
    value = torch.ones(1).as_strided((1,), (0,))
    assert not find_differences(value, torch.ones(1))
    assert find_differences(value, torch.zeros(1))


def test_nan_in_the_same_place_is_the_same() -> None:
    values = torch.tensor([float("nan"), 1.0])
    assert not find_differences(values, values.clone())
    assert find_differences(values, -values)
    other = torch.tensor([0x7FC00001, 0x3F800000], dtype=torch.int32).view(torch.float32)
    assert not find_differences(values, other)


def test_all_differences_are_told() -> None:
    found = find_differences({"a": torch.ones(2), "b": [1, 2.0]}, {"a": torch.zeros(2), "b": [2, 2.5]})
    assert [(d.where, d.size) for d in found] == [
        ("output['a']", 1.0),
        ("output['b'][0]", None),
        ("output['b'][1]", 0.5),
    ]


@pytest.mark.parametrize(
    ("dtype", "small", "large"),
    [
        (torch.float64, 1e-9, 1e-7),
        (torch.float32, 1e-4, 1e-3),
        (torch.float16, 1e-2, 1e-1),
        (torch.bfloat16, 5e-2, 2e-1),
        (torch.complex64, 1e-4, 1e-3),
    ],
)
def test_half_of_the_digits_are_left_to_other_machines(
    dtype: torch.dtype, small: float, large: float
) -> None:
    values = torch.tensor([1.0, 100.0]).to(dtype)
    for change, tolerated in ((small, True), (large, False)):
        other = values.clone()
        other[0] += 100 * change  # relative to the largest
        (found,) = find_differences(values, other)
        assert found.tolerated is tolerated


def test_whole_numbers_and_infinities_must_be_equal() -> None:
    (found,) = find_differences(torch.tensor([10**9]), torch.tensor([10**9 + 1]))
    assert not found.tolerated
    infinite = torch.tensor([float("inf"), 1.0])
    assert not find_differences(infinite, infinite.clone())
    (found,) = find_differences(infinite, -infinite)
    assert not found.tolerated
    (found,) = find_differences(infinite, torch.tensor([float("nan"), 1.0]))
    assert not found.tolerated


def test_a_mapping_that_does_not_iterate_over_its_keys() -> None:
    class Batch(dict[str, torch.Tensor]):
        def __iter__(self) -> Any:
            return iter(torch.ones(2, 3))

    one, other = Batch(a=torch.ones(2)), Batch(a=torch.zeros(2))
    assert find_differences(one, Batch(a=torch.ones(2))) == []
    assert [difference.where for difference in find_differences(one, other)] == ["output['a']"]
