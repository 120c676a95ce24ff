"""A case can be read from the format page alone."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.reference_reader import Case
from wardian.archive.writer import ArchiveWriter
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName

WEIGHT = [0.5, -1.0, 2.0, 3.5, 0.0, -7.25]
STEPS = [1, -(2**40), 3]


def manifest(digests: Mapping[RecordName, RecordDigest]) -> bytes:
    def tensor(
        tensor_name: str, number: int, dtype: str, shape: list[int], stride: list[int]
    ) -> dict[str, object]:
        return {
            "entry": "model",
            "name": tensor_name,
            "record": f".data/{number}.storage",
            "dtype": dtype,
            "shape": shape,
            "stride": stride,
            "offset": 0,
            "requires_grad": dtype == "float32",
            "kind": "parameter" if dtype == "float32" else "buffer",
        }

    document = {
        "format": 1,
        "python": {"version": "3.11.7", "implementation": "cpython", "tag": "cpython-311"},
        "torch": "2.15.0+cpu",
        "platform": {"system": "Linux", "machine": "x86_64"},
        "entries": [
            {
                "name": "model",
                "record": "model/model.pkl",
                "type": "mylib.models.ResNet",
                "test": None,
                "outputs": False,
            }
        ],
        "distributions": [{"name": "mylib", "version": None, "roots": ["mylib"]}],
        "externs": [],
        "absent": [],
        "mocks": [],
        "deferred": [],
        "bytecode_only": [],
        "libraries": [],
        "materialised": [],
        "tensors": [
            tensor("weight", 0, "float32", [2, 3], [3, 1]),
            tensor("weight_t", 0, "float32", [3, 2], [1, 3]),
            tensor("steps", 1, "int64", [3], [1]),
        ],
        "records": {record: {"size": d.size, d.algorithm: d.hex} for record, d in digests.items()},
        "proof": "skipped",
        "metadata": {},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.fixture
def case(tmp_path: Path) -> bytes:
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        weight, steps = struct.pack("<6f", *WEIGHT), struct.pack("<3q", *STEPS)
        archive.add_storage(weight, len(weight))
        archive.add_storage(steps, len(steps))
        archive.add_storage(bytes(1 << 20), 1 << 20)
        archive.add(RecordName("mylib/models.py"), b"class ResNet: ...\n" * 30)
        archive.add(RecordName("model/model.pkl"), b"\x80\x04N.")
        archive.add(RecordName(".data/version"), b"6\n")
        archive.finish(manifest)
        archive.publish()
    return (tmp_path / "resnet.case").read_bytes()


def test_records_are_listed_in_the_order_of_the_page(case: bytes) -> None:
    assert list(Case(case).records) == [
        ".data/0.storage",
        ".data/1.storage",
        ".data/2.storage",
        ".data/version",
        "model/model.pkl",
        "mylib/models.py",
        ".wardian/manifest.json",
        ".wardian/seal",
    ]


def test_records_and_tensors_are_read_by_name(case: bytes) -> None:
    read = Case(case)
    assert read.read("mylib/models.py") == b"class ResNet: ...\n" * 30
    assert read.values("model", "weight") == WEIGHT
    assert read.values("model", "weight_t") == [0.5, 3.5, -1.0, 0.0, 2.0, -7.25]
    assert read.values("model", "steps") == STEPS


def test_the_seal_is_the_digest_of_the_manifest(case: bytes) -> None:
    read = Case(case)
    assert (
        read.read(".wardian/seal").decode()
        == hashlib.sha256(read.read(".wardian/manifest.json")).hexdigest() + "\n"
    )


def test_a_changed_header_is_refused(case: bytes) -> None:
    changed = bytearray(case)
    changed[6] ^= 1
    with pytest.raises(AssertionError, match=r"1\.10"):
        Case(bytes(changed))


def test_a_changed_manifest_is_refused(case: bytes) -> None:
    with pytest.raises((AssertionError, ValueError, struct.error)):
        Case(case[:-300] + b"!" + case[-299:])
