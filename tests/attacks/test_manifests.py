"""Manifests that fit their digests and lie: what is read without running code must refuse them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import MANIFEST, TENSOR, write_case
from wardian.archive.writer import ArchiveWriter
from wardian.domain.manifest import TensorEntry
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError

BYTES = bytes(range(24))


def _write(target: Path, *tensors: TensorEntry, **facts: Any) -> Path:
    return write_case(target, storages=(BYTES, BYTES), tensors=tensors, **facts)


def test_the_honest_index_is_read(tmp_path: Path) -> None:
    # Else a test below could pass for the wrong reason.
    with wardian.open(_write(tmp_path / "model.case", TENSOR)) as case:
        wanted = torch.frombuffer(bytearray(BYTES), dtype=torch.float32).view(2, 3)
        assert torch.equal(case.tensors["weight"], wanted)


LIES: dict[str, dict[str, Any]] = {
    "an offset behind the end": {"offset": 1},
    "an offset that overflows": {"offset": 2**63 - 1},
    "a stride behind the end": {"stride": (4, 1)},
    "a stride that overflows": {"stride": (2**62, 1)},
    "a stride that overflows where it is multiplied": {"shape": (5, 3), "stride": (2**62, 1)},
    "a shape behind the end": {"shape": (3, 3)},
    "a shape that overflows": {"shape": (2**32, 2**32), "stride": (0, 0)},
    "more elements than memory has addresses": {"shape": (2**62, 2**62, 2**62), "stride": (0, 0, 0)},
    "fewer strides than dimensions": {"stride": (1,)},
    "more strides than dimensions": {"stride": (3, 1, 1)},
    "a dtype that is none": {"dtype": "nn"},
    "a dtype that torch lacks": {"dtype": "float7"},
    "a dtype of a private name": {"dtype": "__dict__"},
    "a record that is not there": {"record": ".data/7.storage"},
    "a record that is no storage": {"record": "model/model.pkl"},
    "the manifest itself": {"record": ".wardian/manifest.json"},
    "a record outside": {"record": "../evil"},
    "a record by two names": {"record": ".data/../.data/0.storage"},
    "a record with a leading zero": {"record": ".data/00.storage"},
    "a record with a part of its name": {"record": "0"},
    "an entry that is not there": {"entry": "other"},
}


@pytest.mark.parametrize("lie", LIES, ids=list(LIES))
def test_a_tensor_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "model.case", replace(TENSOR, **LIES[lie]))
    with pytest.raises(CorruptCaseError, match="weight") as caught, wardian.open(path) as case:
        dict(case.tensors)
    assert caught.value.path == str(path)


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "model.case", TENSOR, replace(TENSOR, record=".data/1.storage"))
    with wardian.open(path) as case, pytest.raises(CorruptCaseError, match="weight"):
        case.tensors  # noqa: B018  reading the attribute is the test


def test_an_entry_point_without_its_record_is_refused(tmp_path: Path) -> None:
    lies: list[dict[str, Any]] = [
        {"record": "model/other.pkl"},
        {"record": "../../evil.pkl"},
        {"test": "model/test.pkl"},
    ]
    for facts in lies:
        entry = replace(MANIFEST.entries[0], **facts)
        path = _write(tmp_path / "model.case", TENSOR, entries=(entry,))
        with pytest.raises(CorruptCaseError, match="model"):
            wardian.open(path)


def test_two_entry_points_of_one_name_are_refused(tmp_path: Path) -> None:
    entries = MANIFEST.entries * 2
    with pytest.raises(CorruptCaseError, match="model"):
        wardian.open(_write(tmp_path / "model.case", TENSOR, entries=entries))


@pytest.mark.parametrize(
    "facts",
    [
        {"distribution": "numpy; rm -rf ~"},
        {"distribution": "--find-links=evil"},
        {"distribution": ""},
        {"distribution": "a" * 129},
        {"version": "1.0 --pre"},
        {"version": "1.0\x1b[2J"},
        {"version": "1.0;reboot"},
        {"version": ""},
        {"names": ("",)},
        {"names": ("os.system",)},
        {"names": ("no_such_module..x",)},
        {"names": ("no_such_module.x y",)},
        {"modules": ("",)},
        {"modules": (".relative",)},
    ],
    ids=str,
)
def test_a_command_that_does_more_than_install_is_refused(facts: dict[str, Any], tmp_path: Path) -> None:
    extern = replace(MANIFEST.externs[0], **{"modules": ("no_such_module",), **facts})
    with pytest.raises(CorruptCaseError, match="is no"):
        wardian.open(_write(tmp_path / "model.case", externs=(extern,)))


def _write_document(target: Path, document: bytes) -> Path:
    with ArchiveWriter(target) as archive:
        archive.add(RecordName("model/model.pkl"), b"\x80\x04N.")
        archive.finish(lambda digests: document)
        archive.publish()
    return target


DOCUMENTS = {
    "deep lists": b"[" * 500_000 + b"]" * 500_000,
    "deep objects": b'{"metadata":' * 200_000 + b"1" + b"}" * 200_000,
    "deep lists that never end": b"[" * 500_000,
    "a number of a million digits": b'{"format":' + b"9" * 1_000_000 + b"}",
    "a float": b'{"format":1.0}',
    "a float that is infinite": b'{"format":1e999}',
    "a constant that is not JSON": b'{"format":NaN}',
    "no document": b"",
    "something behind the document": MANIFEST.to_json() + b"{}",
    "a byte order mark": b"\xef\xbb\xbf" + MANIFEST.to_json(),
    "UTF-16": MANIFEST.to_json().decode().encode("utf-16"),
    "bytes that are no text": b'{"format":"\xff\xfe"}',
    "a lone surrogate": b'{"format":"\\ud800"}',
    "a key twice": b'{"format":1,"format":1}',
    "a list": b"[]",
    "null": b"null",
}


@pytest.mark.parametrize("kind", DOCUMENTS, ids=list(DOCUMENTS))
def test_a_document_that_is_no_manifest_is_refused(kind: str, tmp_path: Path) -> None:
    path = _write_document(tmp_path / "model.case", DOCUMENTS[kind])
    with pytest.raises(CorruptCaseError, match="manifest"):
        wardian.open(path)


ENTRY = MANIFEST.entries[0]


@pytest.mark.parametrize(
    "entry",
    [
        replace(ENTRY, record=".data/0.storage"),
        replace(ENTRY, test=".data/0.storage"),
        replace(ENTRY, test="model/model.pkl"),
    ],
)
def test_a_record_of_another_kind_is_refused(entry: Any, tmp_path: Path) -> None:
    with pytest.raises(CorruptCaseError, match="contradicts"):
        wardian.open(_write(tmp_path / "model.case", entries=(entry,)))
