"""Tensors of a pickle are made with a few globals that stand for those of PyTorch, and nothing else."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.tensors.bare import BareTensors


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[BareTensors]:
    content = torch.arange(6.0).numpy().tobytes()
    with ArchiveReader.open(write_case(tmp_path / "one.case", storages=(content,))) as archive:
        yield BareTensors(archive)


def storage_of(bare: BareTensors, elements: int = 6) -> Any:
    kind = bare.find_global("torch", "FloatStorage")
    return bare.persistent_load(("storage", kind, "0", "cpu", elements))


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("_rebuild_tensor", ()),
        ("_rebuild_tensor_v2", (True, OrderedDict())),
        ("_rebuild_tensor_v2", (False,)),
    ],
)
def test_a_tensor_is_a_view_of_its_storage_without_gradient_and_hooks(
    bare: BareTensors, name: str, rest: tuple[Any, ...]
) -> None:
    make = bare.find_global("torch._utils", name)
    tensor = make(storage_of(bare), 1, (2, 2), (2, 1), *rest)
    assert tensor.tolist() == [[1, 2], [3, 4]]
    assert not tensor.requires_grad


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_parameter_with_state"),
        ("torch.nn.parameter", "Parameter"),
    ],
)
def test_a_parameter_is_its_tensor(bare: BareTensors, module: str, name: str) -> None:
    data = torch.ones(2)
    assert bare.find_global(module, name)(data, True, OrderedDict(), {"tag": 1}) is data


def test_what_a_pickle_gets_is_nothing_that_this_process_uses(bare: BareTensors) -> None:
    kind = bare.find_global("torch", "FloatStorage")
    assert isinstance(kind, type)
    assert kind is not torch.FloatStorage
    make = bare.find_global("torch._utils", "_rebuild_tensor_v2")
    make.changed = True  # as BUILD would
    assert not hasattr(bare.find_global("torch._utils", "_rebuild_tensor_v2"), "changed")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("torch", "load"),
        ("torch", "NoStorage"),
        ("torch.storage", "UntypedStorage"),
        ("builtins", "eval"),
        ("torch._utils", "_rebuild_sparse_tensor"),
    ],
)
def test_for_any_other_global_there_is_nothing(bare: BareTensors, module: str, name: str) -> None:
    assert bare.find_global(module, name) is None


def test_containers_are_those_of_python(bare: BareTensors) -> None:
    assert bare.find_global("builtins", "set") is bare.find_global("__builtin__", "set") is set
    assert bare.find_global("collections", "OrderedDict") is OrderedDict
    assert bare.find_global("torch", "Size") is torch.Size


@pytest.mark.parametrize("pid", ["0", ("storage",), ("module", 1, "0", "cpu", 6)])
def test_an_id_that_names_no_storage_is_refused(bare: BareTensors, pid: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        bare.persistent_load(pid)


def test_sizes_are_those_of_the_records(bare: BareTensors) -> None:
    with pytest.raises(ValueError, match="has 24 bytes, not 7 elements"):
        storage_of(bare, 7)
    make = bare.find_global("torch._utils", "_rebuild_tensor_v2")
    make(storage_of(bare), 0, (6,), (1,))
    bare.check()
    make(storage_of(bare), 0, (7,), (1,))  # PyTorch lets the storage grow
    with pytest.raises(ValueError, match="reaches beyond storage 0, which has 24 bytes"):
        bare.check()


def test_only_a_tensor_is_one() -> None:
    assert BareTensors.is_tensor(torch.ones(1))
    assert not BareTensors.is_tensor([1.0])
