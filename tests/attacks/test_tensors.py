"""Descriptions of special tensors that lie (tests/property/test_tensor_descriptions.py tries very many)."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.domain.manifest import TensorEntry, TensorForm, TensorPart
from wardian.errors import CorruptCaseError

INDICES = struct.pack("<3q", 0, 1, 3)
VALUES = bytes(range(24))
PLAIN = TensorEntry(
    entry="model",
    name="weight",
    record=".data/0.storage",
    dtype="qint8",
    shape=(2,),
    stride=(1,),
    offset=0,
    requires_grad=False,
    kind="buffer",
)
JAGGED = replace(
    PLAIN,
    record=None,
    dtype="float32",
    shape=(),
    stride=(),
    form=TensorForm(
        layout="jagged",
        axis=1,
        parts={
            "offsets": TensorPart(record=".data/0.storage", dtype="int64", shape=(3,), stride=(1,), offset=0),
            "values": TensorPart(
                record=".data/1.storage", dtype="float32", shape=(3, 2), stride=(2, 1), offset=0
            ),
        },
    ),
)


def _with_offsets(**facts: Any) -> TensorEntry:
    assert JAGGED.form is not None
    parts = {**JAGGED.form.parts, "offsets": replace(JAGGED.form.parts["offsets"], **facts)}
    return replace(JAGGED, form=replace(JAGGED.form, parts=parts))


def _open(entry: TensorEntry, target: Path) -> wardian.Case:
    return wardian.open(write_case(target, storages=(INDICES, VALUES), tensors=(entry,)))


LIES = {
    # PyTorch makes such tensors, and then crashes.
    "a quantised one without a scheme": PLAIN,
    "a negated one without a scheme": replace(PLAIN, form=TensorForm(neg=True)),
    "offsets that are complex": _with_offsets(dtype="complex64", shape=(3,)),
    "offsets that are broken": _with_offsets(dtype="float32", shape=(3,)),
    "offsets in a table": _with_offsets(shape=(3, 1), stride=(1, 1)),
    "rows behind the end": _with_offsets(record=".data/1.storage", shape=(3,)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_description_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    with _open(LIES[lie], tmp_path / "model.case") as case, pytest.raises(CorruptCaseError, match="weight"):
        case.tensors["weight"]


def _seen_often(count: int, *strides: int) -> TensorPart:
    """One element, seen *count* times."""
    shape = (count, *(1,) * (len(strides) - 1))
    return TensorPart(record=".data/0.storage", dtype="int64", shape=shape, stride=strides, offset=0)


MANY = 1 << 40
VALUE = TensorPart(record=".data/1.storage", dtype="float32", shape=(4,), stride=(1,), offset=0)
BOMBS = {
    "nested": TensorForm(
        layout="nested",
        parts={
            "values": VALUE,
            "sizes": _seen_often(MANY, 0, 0),
            "strides": _seen_often(MANY, 0, 0),
            "offsets": _seen_often(MANY, 0),
        },
    ),
    "jagged": TensorForm(
        layout="jagged",
        axis=1,
        parts={"values": replace(VALUE, shape=(4, 1), stride=(1, 1)), "offsets": _seen_often(MANY, 0)},
    ),
    "sparse": TensorForm(
        layout="sparse_coo",
        parts={"indices": _seen_often(MANY, 0, 0), "values": replace(VALUE, shape=(MANY,), stride=(0,))},
    ),
    "compressed": TensorForm(
        layout="sparse_csr",
        parts={
            "crow_indices": _seen_often(MANY, 0),
            "col_indices": _seen_often(MANY, 0),
            "values": replace(VALUE, shape=(MANY,), stride=(0,)),
        },
    ),
}


@pytest.mark.parametrize("layout", BOMBS)
def test_parts_that_are_seen_very_often_are_refused(layout: str, tmp_path: Path) -> None:
    bomb = replace(JAGGED, form=BOMBS[layout])
    with _open(bomb, tmp_path / "model.case") as case:
        for use in (lambda: case.tensors["weight"], case.state_dict):
            with pytest.raises(CorruptCaseError, match="weight"):
                use()


def test_one_part_in_very_many_tensors_is_refused(tmp_path: Path) -> None:
    form = BOMBS["jagged"]
    some = replace(form, parts={**form.parts, "offsets": _seen_often(1 << 12, 0)})
    tensors = tuple(replace(JAGGED, name=f"weight{number}", form=some) for number in range(1000))
    path = write_case(tmp_path / "model.case", storages=(INDICES, VALUES), tensors=tensors)
    with wardian.open(path) as case, pytest.raises(CorruptCaseError, match="weight"):
        case.state_dict()


def test_an_expanded_tensor_is_not_written_out(tmp_path: Path) -> None:
    plain = replace(PLAIN, dtype="float32", shape=(1 << 33,), stride=(0,))
    with _open(plain, tmp_path / "model.case") as case:
        assert case.state_dict()["weight"].shape == (1 << 33,)
        with pytest.raises(wardian.WeightsFileError, match="weight"):
            case.export_safetensors(tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_tensor_that_is_expanded_a_little_is_written_out(tmp_path: Path) -> None:
    plain = replace(PLAIN, dtype="float32", shape=(512, 512), stride=(0, 0))
    with _open(plain, tmp_path / "model.case") as case:
        case.export_safetensors(tmp_path / "weights.safetensors")
    assert wardian.read_safetensors(tmp_path / "weights.safetensors")["weight"].shape == (512, 512)


@pytest.mark.parametrize("shape", [(1,) * 2000, (2**62, 2**62), (2**32,) * 20])
def test_more_axes_or_elements_than_there_can_be_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    tensor = replace(PLAIN, shape=shape, stride=(0,) * len(shape))
    with pytest.raises(CorruptCaseError, match="more axes or elements"):
        wardian.open(write_case(tmp_path / "large.case", storages=(bytes(64),), tensors=(tensor,)))


@pytest.mark.parametrize("record", ["model/model.pkl", ".data/7.storage", "skipped"])
def test_a_tensor_that_is_in_no_storage_is_refused(record: str, tmp_path: Path) -> None:
    tensor = replace(PLAIN, record=record)
    with pytest.raises(CorruptCaseError, match="which is no storage"):
        wardian.open(write_case(tmp_path / "astray.case", storages=(bytes(64),), tensors=(tensor,)))
