"""Which tensors of an object have names, and which names."""

from __future__ import annotations

import weakref
from collections import OrderedDict, UserDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import wardian
from wardian.tensors.named import named_tensors


class Pair(NamedTuple):
    first: Any
    second: Any


def plainly(obj: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the names by the rule as the format page has it, item by item."""
    if isinstance(obj, torch.Tensor):
        yield prefix.removesuffix("."), obj
    elif isinstance(obj, Mapping):
        for key, value in obj.items():
            if isinstance(key, str):
                yield from plainly(value, f"{prefix}{key}.")
    elif isinstance(obj, list | tuple):
        for index, value in enumerate(obj):
            yield from plainly(value, f"{prefix}{index}.")


_atoms: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 3, 0.5, "text", b"bytes", 1j, {1, 2}, frozenset(), int, ...]
)
_tensors = st.builds(torch.full, st.just((2,)), st.integers(0, 9)) | st.builds(
    lambda: nn.Parameter(torch.ones(1))
)
_keys = st.sampled_from(["weight", "bias", "", "a.b", 3, None, ("x",)])
_objects = st.recursive(
    _atoms | _tensors,
    lambda held: (
        st.lists(held, max_size=4)
        | st.lists(held, max_size=4).map(tuple)
        | st.builds(Pair, held, held)
        | st.dictionaries(_keys, held, max_size=4)
        | st.dictionaries(_keys, held, max_size=4).map(OrderedDict)
        | st.dictionaries(_keys, held, max_size=4).map(UserDict)
    ),
)


@given(_objects)
def test_every_tensor_has_its_name(obj: Any) -> None:
    found = [(named.name, id(named.tensor)) for named in named_tensors(obj)]
    assert found == [(name, id(tensor)) for name, tensor in plainly(obj)]


def test_parameters_of_containers_are_parameters() -> None:
    kinds = {named.name: named.kind for named in named_tensors([nn.Parameter(torch.ones(1)), torch.ones(1)])}
    assert kinds == {"0": "parameter", "1": "buffer"}


def test_a_container_that_is_part_of_itself_is_gone_through_once() -> None:
    tensor = torch.ones(1)
    items: list[Any] = [tensor]
    table = {"items": items, "weight": tensor}
    items += [items, table, (items, tensor)]
    assert [named.name for named in named_tensors(table)] == ["items.0", "items.3.1", "weight"]


class Inside(nn.Module):
    """Knows the module that it is a part of."""

    def __init__(self, *, weakly: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2).eval()
        self.tied = self.layer
        above: Any = weakref.proxy(self) if weakly else self
        self.layer.above = above

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(self.layer(x))
        return found


@pytest.mark.parametrize("weakly", [True, False])
def test_a_module_that_is_part_of_itself(weakly: bool, tmp_path: Path) -> None:
    module = Inside(weakly=weakly)
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert {(found.name, found.kind) for found in named_tensors([module])} == {
        *((f"0.{part}.{name}", "parameter") for part in ("layer", "norm", "tied") for name in names[:2]),
        *((f"0.norm.{name}", "buffer") for name in names[2:]),
    }
    wardian.pack(module, tmp_path / "inside.case", inputs=(torch.ones(1, 2),))
    with wardian.open(tmp_path / "inside.case") as case:
        assert case.check().exact
        assert torch.equal(case.state_dict()["layer.weight"], module.layer.weight)
        with pytest.raises(TypeError, match="this Inside is part of itself"):
            case.load_into(module)
