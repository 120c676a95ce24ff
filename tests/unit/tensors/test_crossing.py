"""Tensors cross as they are; what is said of tensors that come is believed only where it fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from wardian.sandbox.memory import Region
from wardian.tensors.crossing import Outgoing, received


@pytest.fixture
def region() -> Iterator[Region]:
    region = Region.make(4096)
    yield region
    region.close()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).view(2, 3).t(),
        torch.tensor(3),
        torch.empty(0, 5),
        torch.tensor([True, False]),
        torch.tensor([1 + 2j]).conj(),
        torch.tensor([1.0, float("nan")], dtype=torch.bfloat16),
        torch.ones(3).to(torch.float8_e4m3fn),
        torch.nn.Parameter(torch.ones(2)),
    ],
    ids=lambda tensor: str(tensor.dtype),
)
def test_a_tensor_comes_as_it_went(tensor: torch.Tensor, region: Region) -> None:
    outgoing = Outgoing()
    assert outgoing.put("no tensor") is None
    assert (outgoing.put(torch.ones(1)), outgoing.put(tensor)) == (0, 1)
    outgoing.write(region.map)
    came = received(outgoing.described, region.map, region.size)[1]
    region.map[:] = bytes(region.size)  # what came is a copy
    assert came.dtype == tensor.dtype
    assert came.shape == tensor.shape
    assert came.is_contiguous()
    assert not came.requires_grad
    went = tensor.detach().resolve_conj().contiguous().flatten().view(torch.uint8)
    assert torch.equal(came.flatten().view(torch.uint8), went)


class Own(torch.Tensor):
    pass


@pytest.mark.parametrize(
    "tensor",
    [torch.ones(2).to_sparse(), torch.empty(2, device="meta"), torch.ones(2).as_subclass(Own)],
    ids=["sparse", "meta", "subclass"],
)
def test_what_is_no_plain_tensor_does_not_cross(tensor: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="cannot cross"):
        Outgoing().put(tensor)


def _told(**changes: Any) -> list[dict[str, Any]]:
    return [{"dtype": "float32", "shape": [2], "offset": 0} | changes]


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        [None],
        [{}],
        _told(more=1),
        _told(dtype="qint8"),
        _told(dtype=["float32"]),
        _told(dtype="load"),
        _told(shape="2"),
        _told(shape=[-1]),
        _told(shape=[1.0]),
        _told(shape=[True]),
        _told(shape=[1025]),
        _told(shape=[1 << 40, 1 << 40]),
        _told(shape=[0, 1 << 63]),
        _told(shape=[1] * 65),
        _told(offset=-64),
        _told(offset=1),
        _told(offset=4096),
        _told(offset=1 << 70),
        _told(offset=None),
        _told(shape=[1024]) * 2,
        _told(shape=[0]) * 70_000,
    ],
    ids=lambda told: str(told)[:60],
)
def test_what_does_not_fit_is_refused(told: object, region: Region) -> None:
    with pytest.raises(ValueError, match=r"tensor|shape"):
        received(told, region.map, region.size)


def test_a_truth_that_is_none_is_made_one(region: Region) -> None:
    region.map[:4] = bytes([0, 1, 2, 255])
    (came,) = received([{"dtype": "bool", "shape": [4], "offset": 0}], region.map, region.size)
    assert came.view(torch.uint8).tolist() == [0, 1, 1, 1]
