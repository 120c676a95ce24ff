"""Pickles of a case that name storages which are not there, or are not as they say.

A pickle runs code, as the modules of its case do: who loads a case trusts its author. These tests are about
storages, where a lie would read memory that is not the tensor's.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import write_case
from wardian.errors import CorruptCaseError


class _Id:
    def __init__(self, *pid: Any) -> None:
        self.pid = pid


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, _Id) else None


class _Rebuilt:
    """Pickled as a tensor of the storage *pid* names."""

    def __init__(self, pid: _Id, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.arguments = (pid, offset, size, stride, False, OrderedDict[str, Any]())

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, self.arguments


def _case(folder: Path, obj: Any) -> Path:
    stream = io.BytesIO()
    _Pickler(stream, protocol=4).dump(obj)
    return write_case(folder / "model.case", pickle=stream.getvalue(), storages=(bytes(range(24)),))


def _honest() -> _Id:
    return _Id("storage", torch.FloatStorage, "0", "cpu", 6)


def test_an_honest_pickle_loads(tmp_path: Path) -> None:
    # Else a test below could pass for the wrong reason.
    tensor = wardian.load(_case(tmp_path, _Rebuilt(_honest(), 0, (2, 3), (3, 1))))
    assert torch.equal(tensor.view(torch.uint8).flatten(), torch.arange(24, dtype=torch.uint8))


@pytest.mark.parametrize(
    "pid",
    [
        ("storage", torch.FloatStorage, "0", "cpu", 7),
        ("storage", torch.DoubleStorage, "0", "cpu", 6),
        ("storage", torch.FloatStorage, "0", "cpu", 2**62),
        ("storage", torch.FloatStorage, "0", "cpu", -1),
        ("storage", torch.FloatStorage, "0", "cpu", "6"),
        ("storage", torch.FloatStorage, "0", "cpu", None),
        ("storage", torch.FloatStorage, "1", "cpu", 6),
        ("storage", torch.FloatStorage, "../0", "cpu", 6),
        ("storage", torch.FloatStorage, "../../model/model.pkl", "cpu", 6),
        ("storage", torch.FloatStorage, ["0"], "cpu", 6),
        ("storage", torch.nn.Linear, "0", "cpu", 6),
        ("storage", [], "0", "cpu", 6),
        ("storage", torch.FloatStorage, "0", 7, 6),
        ("storage", torch.FloatStorage, "0", "cpu"),
        ("storage",),
        ("elsewhere", torch.FloatStorage, "0", "cpu", 6),
        (),
    ],
    ids=lambda pid: " ".join(map(str, pid[1:])) if len(pid) == 5 else str(pid),
)
def test_a_storage_that_lies_is_refused(pid: tuple[Any, ...], tmp_path: Path) -> None:
    path = _case(tmp_path, _Id(*pid))
    with pytest.raises(CorruptCaseError, match=r"model/model\.pkl") as caught:
        wardian.load(path)
    assert caught.value.record == "model/model.pkl"


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (2, 3), (3, 1)),
        (0, (2, 4), (3, 1)),
        (0, (2, 3), (4, 1)),
        (2**62, (1,), (1,)),
        (0, (2**40,), (1,)),
        (0, (3,), (2**62,)),
        (0, (2**33, 2**33), (0, 0)),
        (-1, (1,), (1,)),
        (0, (2,), (-1,)),
        (0, (-1,), (1,)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], tmp_path: Path
) -> None:
    # PyTorch checks it when the tensor is made, and the case is named in a note; or the storage has grown.
    path = _case(tmp_path, _Rebuilt(_honest(), offset, size, stride))
    with pytest.raises((RuntimeError, wardian.CorruptCaseError)) as caught:
        wardian.load(path)
    told = [str(caught.value), *getattr(caught.value, "__notes__", ())]
    assert any(str(path) in text for text in told)
