"""Weights go to a .safetensors file and come from one, as the safetensors library has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

import wardian
from tests.support import finish, importable, start_python

DTYPES = [
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint64", "uint32"),
    *("uint16", "uint8", "bool", "complex64", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2"),
    *("float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"),
]


def _state() -> dict[str, torch.Tensor]:
    content = torch.arange(16, dtype=torch.uint8)
    state = {
        name: torch.empty(0, dtype=dtype).set_(
            content.clone().untyped_storage(), 0, (1, 16 // dtype.itemsize), (16 // dtype.itemsize, 1)
        )
        for name in DTYPES
        if (dtype := getattr(torch, name))
    }
    base = torch.arange(24.0).reshape(4, 6)
    state |= {
        "transposed": base.t(),
        "part": base[1:, ::2],
        "whole": base,
        "tied": base,
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "no elements": torch.empty(0, 3),
        "no dimensions": torch.tensor(2.5),
        "ünïcode": torch.ones(3),
        # More than is copied at once, and not in order.
        "large": torch.arange(6_000_000.0).reshape(2, 3_000, 1_000).transpose(1, 2),
    }
    return state


def _bits(tensor: torch.Tensor) -> bytes:
    values = tensor.resolve_conj().contiguous().clone().untyped_storage()
    return torch.empty(0, dtype=torch.uint8).set_(values).numpy().tobytes()


@pytest.fixture
def case(tmp_path: Path) -> Path:
    wardian.pack(_state(), tmp_path / "state.case", prove=False)
    return tmp_path / "state.case"


def test_the_safetensors_library_reads_what_is_exported(case: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with wardian.open(case) as opened:
        opened.export_safetensors(path, metadata={"license": "MIT"})
    state = _state()
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "license": "MIT", "whole": "tied"}
        assert set(file.keys()) == state.keys() - {"whole"}
    loadable = {name for name in state if name not in ("whole", "float8_e8m0fnu", "float4_e2m1fn_x2")}
    with safetensors.safe_open(path, "pt") as file:
        loaded = {name: file.get_tensor(name) for name in loadable}
    assert {name: (t.dtype, t.shape) for name, t in loaded.items()} == {
        name: (state[name].dtype, state[name].shape) for name in loadable
    }
    assert [name for name in loadable if _bits(loaded[name]) != _bits(state[name])] == []


def test_what_was_exported_is_read_back_without_touching_the_file(case: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with wardian.open(case) as opened:
        opened.export_safetensors(path)
    before = path.read_bytes()
    state, loaded = _state(), wardian.read_safetensors(path)
    assert loaded.keys() == state.keys()
    assert [
        name
        for name in state
        if (loaded[name].dtype, loaded[name].shape) != (state[name].dtype, state[name].shape)
    ] == []
    assert [name for name in state if _bits(loaded[name]) != _bits(state[name])] == []
    loaded["tied"][0, 0] = 7
    assert loaded["whole"][0, 0] == 7
    assert path.read_bytes() == before


def test_files_of_the_safetensors_library_are_read(tmp_path: Path) -> None:
    state = {
        name: tensor.contiguous() for name, tensor in _state().items() if name not in ("tied", "conjugate")
    }
    del state["part"], state["whole"]
    safetensors.torch.save_file(state, tmp_path / "state.safetensors", metadata={"format": "pt"})
    loaded = wardian.read_safetensors(tmp_path / "state.safetensors")
    assert loaded.keys() == state.keys()
    assert [name for name in state if _bits(loaded[name]) != _bits(state[name])] == []


SWAP = """
    import resource, sys, torch, wardian
    wardian.pack(torch.ones(3), "small.case", prove=False)
    model = wardian.load("model.case", map_location="meta")
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    def anonymous():
        with open("/proc/self/status") as file:
            return int(next(line for line in file if line.startswith("RssAnon")).split()[1])
    before = anonymous()
    model.load_state_dict(wardian.read_safetensors("tuned.safetensors"), assign=True)
    wardian.pack(model, "tuned.case", prove=False)
    print(anonymous() - before)
"""


def test_a_model_is_packed_with_the_weights_of_a_file_without_a_copy(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "mylayers.py").write_text(
        "from torch import nn\n"
        "class Tall(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.first = nn.Linear(4000, 4000, bias=False)\n"
        "        self.tied = nn.Linear(4000, 4000, bias=False)\n"
        "        self.tied.weight = self.first.weight\n"
    )
    with importable(library) as import_module:
        model = import_module("mylayers").Tall()
        wardian.pack(model, tmp_path / "model.case", prove=False)
    with torch.no_grad():
        model.first.weight.fill_(3)
    safetensors.torch.save_model(model, str(tmp_path / "tuned.safetensors"))
    kilobytes = int(finish(start_python(SWAP, folder=tmp_path)))
    assert kilobytes < 30_000  # of 64 MB
    with wardian.open(tmp_path / "tuned.case") as case:
        weight = case.tensors["first.weight"]
        assert weight.min() == weight.max() == 3
        assert case.tensors["tied.weight"].sum() == weight.sum()


def test_what_the_format_cannot_hold_is_told_at_once(tmp_path: Path) -> None:
    state = {
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.ones(1, device="meta"),
        "wide": torch.ones(1) + 0j,
    }
    state["wide"] = state["wide"].to(torch.complex128)
    wardian.pack({**state, "plain": torch.ones(1)}, tmp_path / "state.case", prove=False)
    with wardian.open(tmp_path / "state.case") as case, pytest.raises(wardian.WeightsFileError) as caught:
        case.export_safetensors(tmp_path / "state.safetensors")
    assert all(name in str(caught.value) for name in state)
    assert "plain" not in str(caught.value)
    assert not (tmp_path / "state.safetensors").exists()


def test_only_one_entry_point_is_exported_without_its_scratch_buffers(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(3)
    norm.register_buffer("scratch", torch.zeros(2), persistent=False)
    wardian.pack(norm, tmp_path / "norm.case", prove=False)
    with wardian.open(tmp_path / "norm.case") as case:
        case.export_safetensors(tmp_path / "norm.safetensors", "model")
    assert safetensors.torch.load_file(tmp_path / "norm.safetensors").keys() == norm.state_dict().keys()


def test_the_target_is_only_replaced_when_the_file_is_complete(case: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"yesterday's")
    broken = tmp_path / "broken.case"
    shutil.copyfile(case, broken)
    with wardian.open(broken) as opened:
        offset, _ = opened.mount.archive.location(".data/0.storage")  # type: ignore[arg-type]
    data = bytearray(broken.read_bytes())
    data[offset] ^= 1
    broken.write_bytes(data)
    with wardian.open(broken) as opened, pytest.raises(wardian.CorruptCaseError):
        opened.export_safetensors(path)
    assert path.read_bytes() == b"yesterday's"


def test_a_parameter_that_is_not_initialized_is_named(tmp_path: Path) -> None:
    wardian.pack(torch.nn.LazyLinear(2), tmp_path / "lazy.case", prove=False)
    with (
        wardian.open(tmp_path / "lazy.case") as case,
        pytest.raises(wardian.WeightsFileError, match="weight is not initialized"),
    ):
        case.export_safetensors(tmp_path / "lazy.safetensors")
