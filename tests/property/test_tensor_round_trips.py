"""Any views of any storages come back with their bits, their places, and what they share."""

from __future__ import annotations

import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import wardian
from tests.user.test_tensors import KINDS, _made
from wardian.archive.writer import ArchiveWriter
from wardian.pickling.pickler import pickle_object
from wardian.tensors.storages import StorageWriter

DTYPES = (
    torch.float32,
    torch.int64,
    torch.bfloat16,
    torch.uint8,
    torch.bool,
    torch.complex64,
    torch.float8_e4m3fn,
    torch.uint16,
)


@st.composite
def views(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """Make tensors on up to three storages: overlapping, expanded, empty, tied ones."""
    sizes = draw(st.lists(st.integers(0, 96), min_size=1, max_size=3))
    storages = [torch.randint(0, 2, (size,), dtype=torch.uint8).untyped_storage() for size in sizes]
    made: list[Any] = []
    for _ in range(draw(st.integers(1, 6))):
        again: bool = draw(st.booleans())
        if made and again:
            made.append(draw(st.sampled_from(made)))
            continue
        storage = draw(st.sampled_from(storages))
        dtype = draw(st.sampled_from(DTYPES))
        elements = storage.nbytes() // dtype.itemsize
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        stride = draw(st.lists(st.integers(0, 5), min_size=len(shape), max_size=len(shape)))
        reach = sum((n - 1) * s for n, s in zip(shape, stride, strict=True)) + 1
        if 0 in shape:
            reach = 0
        if reach > elements:
            shape, stride, reach = [0], [1], 0
        offset = draw(st.integers(0, elements - reach))
        tensor = torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)
        if dtype is torch.complex64 and draw(st.booleans()):
            tensor = tensor.conj()
        if dtype is torch.float32:
            kinds: list[Any] = [
                torch.Tensor.detach,
                torch._neg_view,
                nn.Parameter,
                torch.Tensor.requires_grad_,
            ]
            kind: Any = draw(st.sampled_from(kinds))
            tensor = kind(tensor)
        made.append(tensor)
    return {f"t{number}": tensor for number, tensor in enumerate(made)}


def _facts(tensor: torch.Tensor) -> tuple[Any, ...]:
    place = (tuple(tensor.shape), tensor.stride(), tensor.storage_offset())
    kind = (tensor.dtype, tensor.is_conj(), tensor.is_neg())
    storage = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    return place, kind, storage.numpy().tobytes()


def _aliases(tensors: dict[str, torch.Tensor]) -> list[list[bool]]:
    keys = [tensor.untyped_storage()._cdata for tensor in tensors.values()]
    return [[one == other for other in keys] for one in keys]


@settings(max_examples=40, deadline=None)
@given(views())
def test_views_come_back_as_they_were(tensors: dict[str, torch.Tensor]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "views.case")
        wardian.pack(tensors, path, prove=False)
        with wardian.open(path) as case:
            loaded = case.load()
            by_name = case.state_dict()
            content = path.read_bytes()
        memory = wardian.load(content)
    for found in (loaded, by_name, memory):
        assert list(found) == list(tensors)
        assert {k: _facts(t) for k, t in found.items()} == {k: _facts(t) for k, t in tensors.items()}
        assert _aliases(found) == _aliases(tensors)
    for found in (loaded, memory):
        kinds = {k: (type(t), t.requires_grad) for k, t in tensors.items()}
        assert {k: (type(t), t.requires_grad) for k, t in found.items()} == kinds
        assert [t is found["t0"] for t in found.values()] == [t is tensors["t0"] for t in tensors.values()]


def _pickle(obj: Any, *, asked: bool) -> Any:
    with tempfile.TemporaryDirectory() as folder, ArchiveWriter(Path(folder, "x.case")) as archive:
        storages = StorageWriter(archive)
        found = pickle_object(
            obj, name="x", persistent_id=storages.persistent_id, tensors=None if asked else storages
        )
        return found, {number: size for number, (_, size) in storages.offsets.items()}


@settings(max_examples=60, deadline=None)
@given(views())
def test_the_pickle_is_the_same_if_no_tensor_is_asked(tensors: dict[str, torch.Tensor]) -> None:
    assert _pickle(tensors, asked=False) == _pickle(tensors, asked=True)


BASE = torch.arange(24.0).reshape(4, 6)
OBJECTS: dict[str, Any] = {
    "in a set": [BASE, {BASE, BASE.t()}, BASE],
    "in a frozenset of sets": frozenset([frozenset([BASE]), frozenset([BASE[1:], 3])]),
    "modules": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 2)),
    "strings that a tensor names": ["torch._utils", "storage", "cpu", "0", BASE, OrderedDict(a=BASE), "1"],
    "large numbers": [torch.empty(1).expand(3_000_000_000, 2)[:, :1], torch.zeros(70_000)[65_536:]],
    "many": [torch.ones(2) for _ in range(1500)],
    "of a graph": [BASE.clone().requires_grad_() * 2],
}


@pytest.mark.parametrize("what", OBJECTS)
def test_the_pickle_is_the_same_wherever_tensors_are(what: str) -> None:
    assert _pickle(OBJECTS[what], asked=False) == _pickle(OBJECTS[what], asked=True)


def test_the_pickle_is_the_same_for_every_kind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kind is experimental, or deprecated
        objects = _made(list(KINDS))
        assert _pickle(objects, asked=False) == _pickle(objects, asked=True)
