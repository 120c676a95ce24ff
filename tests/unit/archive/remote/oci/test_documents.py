"""How a document that comes is read."""

from __future__ import annotations

import pytest

from wardian.archive.remote.oci.documents import read_json


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe\xff", b"[" * 100_000, b""])
def test_what_is_no_document_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(body)
    assert read_json(b'{"layers": []}') == {"layers": []}
