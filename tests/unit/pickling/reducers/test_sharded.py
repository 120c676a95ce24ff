"""What lies on several processes is not packed by one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor

import wardian


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceMesh]:
    meeting = tmp_path_factory.mktemp("mesh") / "meeting"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def _fsdp(mesh: DeviceMesh) -> Any:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    fully_shard(model[1], mesh=mesh)
    return model


def _tensor(mesh: DeviceMesh) -> DTensor:
    return distribute_tensor(torch.ones(2, 2), mesh, [Replicate()])


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (_fsdp, "model[1]: it is sharded by fully_shard"),
        (lambda mesh: {"a": [_tensor(mesh)], "b": _tensor(mesh)}, "model['a'][0]: it is a DTensor"),
        (lambda mesh: {"mesh": mesh}, "model['mesh']: it is the mesh of the processes"),
    ],
    ids=["module", "tensors", "mesh"],
)
def test_what_gathers_it_is_told_once(tmp_path: Path, mesh: DeviceMesh, make: Any, where: str) -> None:
    with pytest.raises(wardian.UnpicklableError) as caught:
        wardian.pack(make(mesh), tmp_path / "sharded.case", prove=False)
    (problem,) = caught.value.problems
    assert problem.what.startswith(where)
    assert "state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True" in problem.fix
    assert not (tmp_path / "sharded.case").exists()
