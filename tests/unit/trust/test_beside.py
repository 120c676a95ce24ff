"""Where the file of signatures of a case is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from wardian.trust.beside import name_beside, read_signature_file


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("a/oak.case", "a/oak.case.sig"),
        (Path("a/oak.case"), "a/oak.case.sig"),
        ("https://h/oak.case?x=1#y", "https://h/oak.case.sig?x=1#y"),
        ("hf://me/oak@main/model.case", "hf://me/oak@main/model.case.sig"),
        ("simplecache::s3://b/oak.case", "simplecache::s3://b/oak.case.sig"),
        (b"PK", None),
        (io.BytesIO(b"PK"), None),
    ],
)
def test_it_is_at_the_name_of_the_case(source: Any, place: str | None) -> None:
    assert name_beside(source) == place


def test_an_open_file_has_it_beside_its_name(tmp_path: Path) -> None:
    path = tmp_path / "oak.case"
    path.write_bytes(b"PK")
    with path.open("rb") as file:
        assert name_beside(file) == f"{path}.sig"


def test_it_is_read_by_path_url_or_is_the_content(tmp_path: Path) -> None:
    path = tmp_path / "oak.case.sig"
    path.write_bytes(b"content")
    case = path.with_suffix("")
    for signature in (None, path, str(path), path.as_uri(), b"content"):
        assert read_signature_file(case, signature, {}) == b"content"
    assert read_signature_file(case.as_uri(), None, {}) == b"content"
    with pytest.raises(FileNotFoundError):
        read_signature_file(b"PK", None, {})
    with pytest.raises(FileNotFoundError):
        read_signature_file(tmp_path / "elm.case", None, {})
