"""The form of SSH signatures, both ways."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from wardian.trust.sshsig import SshSignature, read_blocks, signed_data, to_text
from wardian.trust.wire import Fields, MalformedError, string

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-@. 0123456789", max_size=20)


@st.composite
def signatures(draw: st.DrawFn) -> SshSignature:
    kind = draw(NAMES)
    return SshSignature(
        string(kind.encode()) + draw(st.binary(max_size=50)),
        kind,
        draw(NAMES),
        draw(st.binary(max_size=10)),
        draw(NAMES),
        draw(NAMES),
        draw(st.binary(max_size=200)),
    )


@given(signatures())
def test_bytes_and_back(signature: SshSignature) -> None:
    assert SshSignature.of(signature.to_blob()) == signature


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4))
def test_text_and_back(blobs: list[bytes]) -> None:
    text = b"".join(map(to_text, blobs))
    assert read_blocks(text) == blobs
    assert read_blocks(text.replace(b"\n", b"\r\n")) == blobs
    assert read_blocks(b"\n\n" + text.rstrip() + b"  \n") == blobs
    assert max(map(len, text.splitlines())) <= 70


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (SshSignature.of, read_blocks):
        with contextlib.suppress(MalformedError):
            read(data)


def test_what_is_signed_names_the_namespace_and_the_hash() -> None:
    data = signed_data(b"", hashed="sha256")
    fields = Fields(data)
    assert (fields.take(6), fields.text(), fields.string(), fields.text()) == (
        b"SSHSIG",
        "wardian-case",
        b"",
        "sha256",
    )
    assert len(fields.string()) == 32
    fields.end()
