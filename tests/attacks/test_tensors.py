"""Descriptions of special tensors that lie (tests/property/test_tensor_descriptions.py tries very many)."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.errors import CorruptCaseError
from wardian.manifest import TensorEntry, TensorForm, TensorPart

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
