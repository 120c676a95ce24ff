"""A safetensors file is what its format says, or refused; tests/user/test_safetensors.py asks the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wardian.errors import WeightsFileError
from wardian.tensors.safetensors import SafetensorsFile, write_safetensors

pytestmark = pytest.mark.filterwarnings("ignore:.*nested")


def header_of(path: Path) -> Any:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    return json.loads(content[8 : 8 + length])


@st.composite
def views(draw: st.DrawFn) -> torch.Tensor:
    base = torch.arange(24, dtype=draw(st.sampled_from([torch.float32, torch.int16, torch.uint8]))).reshape(
        2, 3, 4
    )
    axes = draw(st.permutations(range(3)))
    step = draw(st.integers(1, 3))
    return base.permute(*axes)[:, ::step, draw(st.integers(0, 2)) :]


@settings(max_examples=50)
@given(tensors=st.dictionaries(st.text(min_size=1, max_size=5), views(), max_size=4))
def test_any_views_are_read_as_they_were(
    tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "views.safetensors"
    write_safetensors(tensors, path, {})
    found = SafetensorsFile(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].tolist() == tensor.tolist()


def test_the_first_by_name_of_tied_tensors_is_written(tmp_path: Path) -> None:
    weight = torch.arange(4.0)
    path = tmp_path / "w.safetensors"
    tensors = {"b": weight, "a": weight, "c": weight[:2], "none": weight[:0], "nothing": weight[:0]}
    write_safetensors(tensors, path, {"license": "MIT"})
    header = header_of(path)
    assert header.pop("__metadata__") == {"b": "a", "license": "MIT"}
    assert set(header) == {"a", "c", "none", "nothing"}
    found = SafetensorsFile(path)
    assert found.metadata == {"b": "a", "license": "MIT"}
    assert list(found) == [*header, "b"]
    assert len(found) == 5
    found["b"][0] = 7
    assert found["a"][0] == 7
    assert found["c"][0] == 0
    assert SafetensorsFile(path)["a"][0] == 0  # the file does not change


def test_the_largest_elements_come_first_so_that_all_are_aligned(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {"a": torch.ones(3, dtype=torch.uint8), "b": torch.ones(1), "c": torch.ones(1).double()}
    write_safetensors(tensors, path, {})
    assert {name: place["data_offsets"] for name, place in header_of(path).items()} == {
        "c": [0, 8],
        "b": [8, 12],
        "a": [12, 15],
    }


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: torch.eye(2).to_sparse(), "w is sparse_coo"),
        (lambda: torch.ones(1, device="meta"), "w has no values"),
        (lambda: torch.ones(1, dtype=torch.complex128), r"w is of torch\.complex128"),
        (torch.nn.UninitializedParameter, "w is not initialized yet"),
        (lambda: torch.nested.nested_tensor([torch.ones(1)]), "w is nested"),
    ],
)
def test_what_the_format_cannot_hold_is_named(
    make: Callable[[], torch.Tensor], why: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsFileError, match=rf"cannot hold 1 of 2 tensors: {why}"):
        write_safetensors({"w": make(), "plain": torch.ones(1)}, tmp_path / "w.safetensors", {})
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_cannot_have_the_name_of_the_metadata(tmp_path: Path) -> None:
    with pytest.raises(WeightsFileError, match="__metadata__ is named as its metadata are"):
        write_safetensors({"__metadata__": torch.ones(1)}, tmp_path / "w.safetensors", {})


@pytest.mark.parametrize("more", [0, 1])
def test_a_file_has_not_far_more_bytes_than_there_are(more: int, tmp_path: Path) -> None:
    # Of one element of a byte: 64 MB are free, and 16 times what there is.
    wide = torch.ones(1, dtype=torch.uint8).expand((64 << 20) + 16 + more)
    path = tmp_path / "w.safetensors"
    if more:
        with pytest.raises(
            WeightsFileError, match=r"67,108,881 bytes, and they hold 1: .* largest are wide;"
        ):
            write_safetensors({"wide": wide}, path, {})
        assert not path.exists()
    else:
        write_safetensors({"wide": wide}, path, {})
        assert bool((SafetensorsFile(path)["wide"] == 1).all())


def test_what_another_writer_did_not_align_is_read(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} '
    assert (8 + len(header)) % 4
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + torch.tensor([1.0, 2.0]).numpy().tobytes())
    found = SafetensorsFile(path)
    assert found["w"].tolist() == [1, 2]
    assert found["w"].untyped_storage()._cdata == found["w"].untyped_storage()._cdata
    assert repr(found) == f"<1 tensors in {path}>"
    with pytest.raises(KeyError):
        found["v"]


def test_halves_of_bytes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    halves = torch.arange(6, dtype=torch.uint8).reshape(2, 3).view(torch.float4_e2m1fn_x2)
    write_safetensors({"w": halves}, path, {})
    assert header_of(path)["w"] == {"dtype": "F4", "shape": [2, 6], "data_offsets": [0, 6]}
    found = SafetensorsFile(path)["w"]
    assert found.view(torch.uint8).tolist() == [[0, 1, 2], [3, 4, 5]]


# Files that are wrong.


def file(document: Any, data: bytes = bytes(8)) -> bytes:
    header = document if isinstance(document, bytes) else json.dumps(document).encode()
    return len(header).to_bytes(8, "little") + header + data


def one(**changes: Any) -> bytes:
    return file({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}})


WRONG: dict[str, bytes] = {
    "empty": b"",
    "no header": bytes(8),
    "a header longer than the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "half a byte": file({"w": {"dtype": "F4", "shape": [3], "data_offsets": [0, 8]}}),
    "an axis too many": one(shape=[1] * 1024 + [2]),
    "no JSON": file(b"{nonsense"),
    "deep JSON": file(b"[" * 100_000),
    "no object": file([1, 2]),
    "a name twice": file(b'{"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"w":1}'),
    "an unknown dtype": one(dtype="F7"),
    "a dtype that is no name": one(dtype=[1]),
    "a negative size": one(shape=[-2]),
    "a size that is no number": one(shape=["2"]),
    "a size that is true": one(shape=[True, 2]),
    "a shape that does not fit": one(shape=[3]),
    "a shape that overflows": one(shape=[1 << 62, 1 << 62]),
    "a place behind the end": one(data_offsets=[8, 16]),
    "a place that runs backwards": one(data_offsets=[8, 0]),
    "half a place": one(data_offsets=[0]),
    "a key too many": one(colour="green"),
    "metadata that are no text": file({"__metadata__": {"a": 1}}, b""),
    "bytes that belong to no tensor": one() + b"more",
    "two tensors in one place": file(
        {
            "a": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]},
            "b": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]},
        }
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_is_wrong_is_refused(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(WRONG[wrong])
    with pytest.raises(WeightsFileError, match="no safetensors file, or damaged") as caught:
        SafetensorsFile(path)
    assert caught.value.path == str(path)


def test_the_file_that_the_wrong_ones_were_made_of_is_right(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(one())
    assert SafetensorsFile(path)["w"].tolist() == [0, 0]
    path.write_bytes(one(shape=[1] * 1023 + [2]))
    assert SafetensorsFile(path)["w"].numel() == 2
