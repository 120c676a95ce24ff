"""The distance of two tensors, read from their records without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import wardian
from wardian.archive import ArchiveReader
from wardian.errors import CorruptCaseError
from wardian.inspection.values import Distance, distance
from wardian.reading.foreign import read_manifest


def _packed(tensor: torch.Tensor, path: Path) -> ArchiveReader:
    wardian.pack({"a": tensor}, path, prove=False)
    return ArchiveReader.open(path)


def _distance(one: torch.Tensor, other: torch.Tensor, folder: Path) -> Distance | None:
    with _packed(one, folder / "one.case") as first, _packed(other, folder / "other.case") as second:
        return distance((first, read_manifest(first).tensors[0]), (second, read_manifest(second).tensors[0]))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8]
)
def test_it_is_the_same_as_torch_says(dtype: torch.dtype, tmp_path: Path) -> None:
    one = torch.tensor([[1, 2], [3, 4]]).to(dtype)
    other = torch.tensor([[1, 2], [3, 6]]).to(dtype)
    assert _distance(one, other, tmp_path) == Distance(largest=2.0, mean=0.5, equal=False)
    assert _distance(one, one.clone(), tmp_path) == Distance(largest=0.0, mean=0.0, equal=True)


def test_strides_and_offsets_are_followed(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    moved = base.clone()
    moved[1, 2] += 3
    found = _distance(base.t()[1:3], moved.t()[1:3], tmp_path)
    assert found == Distance(largest=3.0, mean=0.5, equal=False)


def test_numbers_without_an_order_do_not_count_and_other_bits_are_not_equal(tmp_path: Path) -> None:
    nothing, zero = torch.tensor([float("nan"), 0.0]), torch.tensor([float("nan"), -0.0])
    assert _distance(nothing, zero, tmp_path) == Distance(largest=0.0, mean=0.0, equal=False)
    assert _distance(nothing, nothing.clone(), tmp_path) == Distance(largest=0.0, mean=0.0, equal=True)


def test_a_scalar_and_an_empty_tensor(tmp_path: Path) -> None:
    assert _distance(torch.tensor(1.0), torch.tensor(2.5), tmp_path) == Distance(1.5, 1.5, equal=False)
    empty = _distance(torch.ones(0, 3), torch.ones(0, 3), tmp_path)
    assert empty in (None, Distance(0.0, 0.0, equal=True))


def test_a_dtype_that_numpy_lacks_has_no_distance(tmp_path: Path) -> None:
    one = torch.ones(2).to(torch.float8_e4m3fn)
    assert _distance(one, one, tmp_path) is None


def test_a_tensor_that_reaches_beyond_its_record_is_damage(tmp_path: Path) -> None:
    with _packed(torch.ones(4), tmp_path / "one.case") as archive:
        tensor = read_manifest(archive).tensors[0]
        beyond = replace(tensor, shape=(1_000_000,))
        with pytest.raises(CorruptCaseError, match="reaches beyond its record"):
            distance((archive, tensor), (archive, beyond))
