"""A module whose tensors share memory gets what a case has for all of them, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import wardian
from wardian.errors import WeightsMismatchError


def _holding(**buffers: torch.Tensor) -> nn.Module:
    holder = nn.Module()
    for name, buffer in buffers.items():
        if isinstance(buffer, nn.Parameter):
            holder.register_parameter(name, buffer)
        else:
            holder.register_buffer(name, buffer)
    return holder


def _tied(other: Callable[[torch.Tensor], torch.Tensor], *, buffer_first: bool = False) -> nn.Module:
    """Return a module with a parameter, and a view of it as a buffer."""
    weight = nn.Parameter(torch.randn(3, 3))
    places = {"weight": weight, "view": other(weight.data)}
    return _holding(**dict(reversed(places.items())) if buffer_first else places)


def _parts(offset: int) -> nn.Module:
    whole = torch.randn(8)
    return _holding(one=whole[:4], other=whole[offset : offset + 3])


def _of_numpy(*, shared: bool) -> nn.Module:
    array = np.arange(4.0)
    return _holding(
        one=torch.from_numpy(array), other=torch.from_numpy(array) if shared else torch.randn(4).double()
    )


def _apart(module: nn.Module) -> nn.Module:
    """Return a module with the same names, and memory for each."""
    return _holding(
        **{
            name: nn.Parameter(torch.randn(tensor.shape).to(tensor.dtype))
            if isinstance(tensor, nn.Parameter)
            else torch.randn(tensor.shape).to(tensor.dtype)
            for name, tensor in module.state_dict(keep_vars=True).items()
        }
    )


SHARING: dict[str, Callable[[], nn.Module]] = {
    "data": lambda: _tied(nn.Parameter),
    "transposed": lambda: _tied(lambda data: nn.Parameter(data.t())),
    "view": lambda: _tied(lambda data: data[1:]),
    "view before": lambda: _tied(lambda data: data[1:], buffer_first=True),
    "bytes": lambda: _tied(lambda data: data.view(torch.int32)),
    "overlapping itself": lambda: _holding(one=torch.randn(6).as_strided((4, 3), (1, 1))),
    "parts by 2": lambda: _parts(2),
    "parts by 3": lambda: _parts(3),
    "numpy": lambda: _of_numpy(shared=True),
}


@pytest.mark.parametrize("kind", SHARING)
@pytest.mark.filterwarnings("ignore:.*are parts of one memory")
def test_memory_that_only_the_module_shares(kind: str, tmp_path: Path) -> None:
    module = SHARING[kind]()
    wardian.pack(_apart(module), tmp_path / "apart.case", prove=False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightsMismatchError, match="share memory in the model, and differ in the case"):
        wardian.load_into(module, tmp_path / "apart.case")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    expected = wardian.load(tmp_path / "apart.case").state_dict()
    wardian.load_into(module, tmp_path / "apart.case", assign=True)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("kind", SHARING)
def test_memory_that_both_share(kind: str, tmp_path: Path) -> None:
    packed, module = SHARING[kind](), SHARING[kind]()
    wardian.pack(packed, tmp_path / "shared.case", prove=False)
    wardian.load_into(module, tmp_path / "shared.case")
    expected = packed.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("kind", SHARING)
def test_what_is_equal_where_only_the_module_shares_memory(kind: str, tmp_path: Path) -> None:
    packed, module = SHARING[kind](), SHARING[kind]()
    copy = _apart(packed)
    copy.load_state_dict(packed.state_dict())
    wardian.pack(copy, tmp_path / "apart.case", prove=False)
    wardian.load_into(module, tmp_path / "apart.case")
    expected = packed.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(("here", "there"), [(2, 3), (3, 2)])
@pytest.mark.filterwarnings("ignore:.*are parts of one memory")
def test_parts_that_overlap_elsewhere_in_the_case(here: int, there: int, tmp_path: Path) -> None:
    wardian.pack(_parts(there), tmp_path / "parts.case", prove=False)
    with pytest.raises(WeightsMismatchError, match='"one", "other" share memory'):
        wardian.load_into(_parts(here), tmp_path / "parts.case")


def test_columns_of_one_memory(tmp_path: Path) -> None:
    whole = torch.zeros(4, 2)
    module = _holding(one=whole[:, 0], other=whole[:, 1])
    wardian.pack(_apart(module), tmp_path / "apart.case", prove=False)
    wardian.load_into(module, tmp_path / "apart.case")
    assert torch.equal(whole, torch.stack(list(wardian.load(tmp_path / "apart.case").buffers()), 1))
