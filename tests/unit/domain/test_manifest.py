"""The manifest as JSON: what is refused, and where the message says it is."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.schemas import validator_of
from tests.support import MANIFEST, write_case
from wardian.domain.manifest import FORMAT_VERSION, Manifest
from wardian.errors import CorruptCaseError, UnsupportedFormatError

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "manifest.schema.json").read_text())


def _document() -> dict[str, Any]:
    return json.loads(MANIFEST.to_json())  # type: ignore[no-any-return]


def _read(document: Any) -> Manifest:
    return Manifest.from_json(_canonical(document), path="model.case")


def _canonical(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_the_document_is_canonical() -> None:
    text = MANIFEST.to_json().decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert _read(_document()) == MANIFEST


def _change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        here: Any = document
        for part in above:
            here = here[part]
        here[last] = value

    return change


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a key too many": (_change("colour", 1), "manifest must be an object with the keys of the format"),
    "a key too few": (lambda d: d.pop("torch"), "wrong: ['torch']"),
    "a nested key too many": (_change("python.build", "x"), "manifest.python must be an object"),
    "a number for text": (_change("torch", 2), "manifest.torch must be str"),
    "text for a number": (_change("format", "1"), "manifest.format must be int"),
    "a boolean for a number": (_change("format", True), "manifest.format must be int"),
    "a number for a boolean": (_change("entries.0.outputs", 0), "manifest.entries[0].outputs must be bool"),
    "text for a list": (_change("absent", "jax"), "manifest.absent must be a list"),
    "a list for an object": (_change("records", []), "manifest.records must be an object"),
    "null for text": (_change("entries.0.name", None), "manifest.entries[0].name must be str"),
    "an unknown word": (_change("proof", "maybe"), "manifest.proof must be one of 'passed', 'skipped'"),
    "an item of a list": (_change("externs.0.modules.0", 3), "manifest.externs[0].modules[0] must be str"),
    "a digest too short": (
        _change("records.a/b", {"size": 1, "sha256": "ab"}),
        "manifest.records['a/b'] must have a size and one digest",
    ),
    "two digests": (
        _change("records.a/b", {"size": 1, "sha256": "0" * 64, "blake3": "0" * 64}),
        "manifest.records['a/b'] must have",
    ),
    "a negative size": (_change("records.a/b", {"size": -1, "sha256": "0" * 64}), "manifest.records['a/b']"),
    "metadata that is no text": (_change("metadata.epochs", 3), "manifest.metadata['epochs'] must be str"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_with_its_path(wrong: str) -> None:
    change, words = WRONG[wrong]
    document = _document()
    change(document)
    with pytest.raises(CorruptCaseError) as caught:
        _read(document)
    assert str(caught.value).startswith("model.case: the manifest is not valid: ")
    assert words in str(caught.value)
    assert caught.value.record == ".wardian/manifest.json"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Expecting value"),
        (b"[]", "must be an object"),
        (b"null", "must be an object"),
        (b'{"a": 1, "a": 2}', "a key occurs twice"),
        (b'{"a": 1.5}', "1.5 is not an integer"),
        (b'{"a": \xff}', "utf-8"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(CorruptCaseError, match=words):
        Manifest.from_json(data, path=None)


NOT_CANONICAL: dict[str, Callable[[bytes], bytes]] = {
    "spaces at the end": lambda data: data + b" \n",
    "spaces between": lambda data: json.dumps(json.loads(data), sort_keys=True).encode(),
    "unsorted keys": lambda data: json.dumps(
        dict(reversed(json.loads(data).items())), separators=(",", ":")
    ).encode(),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-32": lambda data: data.decode().encode("utf-32-le"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "an escape that is not needed": lambda data: data.replace(b"cpython", b"\\u0063python"),
    "a lone surrogate": lambda data: data.replace(b"cpython", b"\\ud800python"),
    "an escaped slash": lambda data: data.replace(b"model/model.pkl", b"model\\/model.pkl"),
    "a negative zero": lambda data: data.replace(b'"format":1', b'"format":-0'),
    "a key twice": lambda data: data.replace(b'"format":1', b'"format":1,"format":1'),
    "format 0": lambda data: data.replace(b'"format":1', b'"format":0'),
}


@pytest.mark.parametrize("way", NOT_CANONICAL)
def test_a_manifest_that_is_written_in_another_way_is_refused(way: str) -> None:
    data = MANIFEST.to_json()
    assert Manifest.from_json(data, path=None) == MANIFEST
    other = NOT_CANONICAL[way](data)
    assert other != data
    with pytest.raises(CorruptCaseError):
        Manifest.from_json(other, path=None)


def test_a_document_of_nothing_but_objects_is_refused_before_they_are_built() -> None:
    data = b'{"format":1,"x":[' + b"{}," * 5_000_000 + b"{}]}"
    tracemalloc.start()
    with pytest.raises(CorruptCaseError, match="more objects"):
        Manifest.from_json(data, path=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_newer_format_is_refused_whatever_else_it_has() -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        Manifest.from_json(b'{"format": %d, "new": {}}' % (FORMAT_VERSION + 1), path="model.case")
    assert caught.value.format == FORMAT_VERSION + 1


def test_the_schema_is_a_schema() -> None:
    validator_of({}).check_schema(SCHEMA)


def test_a_real_manifest_fits_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "linear.case"
    wardian.pack(torch.nn.Linear(2, 2), path, inputs=(torch.ones(2),), prove=False, metadata={"a": "b"})
    with wardian.open(path) as case:
        validator_of(SCHEMA).validate(json.loads(case.read(".wardian/manifest.json")))
    with wardian.open(write_case(tmp_path / "fern.case", {"fern.py": "OPEN = 1"})) as case:
        validator_of(SCHEMA).validate(json.loads(case.read(".wardian/manifest.json")))


@pytest.mark.parametrize("wrong", WRONG)
def test_the_schema_refuses_what_the_reader_refuses(wrong: str) -> None:
    document, schema = _document(), validator_of(SCHEMA)
    assert schema.is_valid(document)
    WRONG[wrong][0](document)
    assert not schema.is_valid(document)


@pytest.mark.parametrize("key", ["absent", "bytecode_only", "deferred", "materialised", "mocks"])
@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"]])
def test_a_list_that_is_not_sorted_is_refused(key: str, names: list[str]) -> None:
    with pytest.raises(CorruptCaseError, match=f"manifest.{key} is not sorted, each name once"):
        _read({**_document(), key: names})
    _read({**_document(), key: sorted(set(names))})
