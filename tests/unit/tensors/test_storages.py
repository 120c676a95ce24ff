"""Tensors in a case: what shares memory goes on to share it, and the file never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wardian
from wardian.tensors.comparison import find_differences
from wardian.tensors.host import copied
from wardian.tensors.storages import StorageReader


def _there_and_back(obj: Any, tmp_path: Path) -> Any:
    wardian.pack(obj, tmp_path / "tensors.case", prove=False)
    return wardian.load(tmp_path / "tensors.case")


BASE = torch.arange(24.0).reshape(4, 6)

TENSORS: dict[str, Callable[[], torch.Tensor]] = {
    **{
        str(dtype).removeprefix("torch."): partial(torch.ones, 3, dtype=dtype)
        for dtype in (
            torch.float32,
            torch.float64,
            torch.float16,
            torch.bfloat16,
            torch.float8_e4m3fn,
            torch.int8,
            torch.int64,
            torch.uint8,
            torch.bool,
            torch.complex64,
            torch.complex128,
        )
    },
    "zero elements": partial(torch.empty, 0),
    "zero size with a shape": lambda: torch.empty(0, 3, 2, dtype=torch.int16),
    "no dimensions": lambda: torch.tensor(3.5),
    "not contiguous": BASE.t,
    "every other": lambda: BASE[::2, 1::3],
    "expanded": lambda: torch.ones(1, 3).expand(5, 3),
    "nan": lambda: torch.tensor([float("nan"), float("inf"), -0.0]),
    "conjugate": lambda: torch.tensor([1 + 2j]).conj(),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "meta": partial(torch.ones, 3, device="meta"),
    "channels last": lambda: torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    tensor = TENSORS[kind]()
    again = _there_and_back([tensor], tmp_path)[0]
    assert (again.dtype, again.shape, again.layout) == (tensor.dtype, tensor.shape, tensor.layout)
    assert again.device == tensor.device
    if tensor.layout == torch.strided:
        assert again.stride() == tensor.stride()
    if tensor.dtype == torch.float8_e4m3fn:
        tensor, again = tensor.view(torch.uint8), again.view(torch.uint8)
    assert not find_differences(tensor, again)


def test_views_share_their_storage_and_it_is_written_once(tmp_path: Path) -> None:
    whole = torch.arange(10.0)
    again = _there_and_back({"whole": whole, "part": whole[2:4], "other": torch.zeros(10)}, tmp_path)
    again["part"][0] = -1
    assert again["whole"][2] == -1
    with wardian.open(tmp_path / "tensors.case") as case:
        assert [name for name in case.files() if name.endswith(".storage")] == [
            ".data/0.storage",
            ".data/1.storage",
        ]


def _tied_parts() -> nn.ModuleDict:
    embedding, head = nn.Embedding(4, 3), nn.Linear(3, 4, bias=False)
    head.weight = embedding.weight
    norm = nn.BatchNorm1d(3)
    norm.register_buffer("scratch", torch.zeros(2), persistent=False)
    return nn.ModuleDict({"embedding": embedding, "head": head, "norm": norm})


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    again = _there_and_back(_tied_parts(), tmp_path)
    assert again["head"].weight is again["embedding"].weight


def test_changing_a_loaded_weight_changes_neither_the_file_nor_another_copy(tmp_path: Path) -> None:
    model = nn.Linear(400, 700)
    one = _there_and_back(model, tmp_path)
    path = tmp_path / "tensors.case"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    two = wardian.load(path)
    with torch.no_grad():
        one.weight.fill_(7)
        one.bias += 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert torch.equal(two.weight, model.weight)
    assert torch.equal(wardian.load(path).bias, model.bias)


def test_weights_are_read_by_name_without_code(tmp_path: Path) -> None:
    model = _tied_parts()
    wardian.pack(model, tmp_path / "tied.case", prove=False)
    with wardian.open(tmp_path / "tied.case") as case:
        assert set(case.tensors) == {
            "embedding.weight",
            "head.weight",
            "norm.weight",
            "norm.bias",
            "norm.running_mean",
            "norm.running_var",
            "norm.num_batches_tracked",
            "norm.scratch",
        }
        state = case.state_dict()
        assert list(state) == [name for name in case.tensors if name != "norm.scratch"]
        assert set(state) == set(model.state_dict())
        assert not find_differences(dict(sorted(model.state_dict().items())), dict(sorted(state.items())))
        kinds = {t.name: t.kind for t in case.manifest.tensors}
        assert (kinds["norm.bias"], kinds["norm.running_mean"], kinds["norm.scratch"]) == (
            "parameter",
            "buffer",
            "transient",
        )
        with pytest.raises(KeyError):
            case.tensors["head.bias"]


def test_map_location_is_honoured(tmp_path: Path) -> None:
    wardian.pack(nn.Linear(2, 2), tmp_path / "linear.case", prove=False)
    assert wardian.load(tmp_path / "linear.case", map_location="meta").weight.device.type == "meta"
    asked: list[str] = []

    def place(storage: Any, location: str) -> Any:
        asked.append(location)
        return storage

    assert wardian.load(tmp_path / "linear.case", map_location=place).weight.device.type == "cpu"
    assert asked == ["cpu", "cpu"]


@pytest.mark.parametrize("in_memory", [False, True])
def test_small_tensors_can_be_resized(in_memory: bool, tmp_path: Path) -> None:
    path = tmp_path / "observer.case"
    wardian.pack(
        {"low": torch.tensor(1.0), "high": torch.ones(16), "none": torch.empty(0)}, path, prove=False
    )
    for tensor in wardian.load(path.read_bytes() if in_memory else path).values():
        assert tensor.resize_(2048).shape == (2048,)


def test_a_case_in_memory_is_loaded_too(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    wardian.pack(model, tmp_path / "linear.case", prove=False)
    again = wardian.load((tmp_path / "linear.case").read_bytes())
    assert torch.equal(again.weight, model.weight)


@pytest.mark.parametrize(
    "pid",
    [
        None,
        ("module", 1),
        ("storage", torch.FloatStorage, "0", "cpu"),
        ("storage", int, "0", "cpu", 2),
        ("storage", torch.FloatStorage, "0", "cpu", 3),
    ],
)
def test_an_id_that_fits_no_storage_is_refused(pid: Any) -> None:
    reader = StorageReader(lambda: copied(bytes(8)), {"0": (0, 8)}.__getitem__)
    with pytest.raises(ValueError, match=r"persistent id|elements"):
        reader.persistent_load(pid)
    storage = reader.persistent_load(("storage", torch.FloatStorage, "0", "cpu", 2))
    assert torch.tensor([], dtype=torch.float32).set_(storage._untyped_storage).tolist() == [0, 0]


DIFFERENT: dict[str, tuple[Any, Any, str]] = {
    "values": (torch.ones(2), torch.tensor([1.0, 3.0]), "output differs by up to 2"),
    "shape": (torch.ones(2), torch.ones(3), "output is torch.float32[3], not torch.float32[2]"),
    "dtype": (torch.ones(1), torch.ones(1).double(), "output is torch.float64[1], not torch.float32[1]"),
    "one nan": (torch.tensor([1.0]), torch.tensor([float("nan")]), "output differs"),
    "keys": ({"a": 1}, {"b": 1}, "output has the keys ['b'], not ['a']"),
    "length": ((1, 2), (1,), "output has 1 items, not 2"),
    "deep": ({"a": [torch.ones(1), 2]}, {"a": [torch.ones(1), 3]}, "output['a'][1] is 3, not 2"),
    "kind": (torch.ones(1), [1.0], "output is a list, not a tensor"),
    "sparse values": (torch.eye(2).to_sparse(), (torch.eye(2) * 2).to_sparse(), "output differs by up to 1"),
    "layout": (torch.eye(2), torch.eye(2).to_sparse(), "output is torch.sparse_coo, not torch.strided"),
    "meta": (torch.ones(1), torch.ones(1, device="meta"), "output has no values on one side"),
    "type": (1, "1", "output is a str, not an int"),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_a_difference_is_told_with_its_place(kind: str) -> None:
    expected, actual, words = DIFFERENT[kind]
    (found,) = find_differences(expected, actual)
    assert str(found).startswith(words)
    assert not find_differences(expected, expected)


def test_equal_is_bit_for_bit_but_for_the_kind_of_nan() -> None:
    nan = torch.tensor([float("nan"), 1.0])
    assert not find_differences(nan, nan.clone())
    assert not find_differences({"a": float("nan")}, {"a": float("nan")})
    assert find_differences(torch.tensor([1.0]), torch.tensor([1.0 + 2**-23]))
