"""The fields of keys and signatures: read as they are written, and never beyond the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.trust.wire import Fields, MalformedError, string, uint32


@given(st.lists(st.binary(max_size=20)), st.integers(0, 0xFFFFFFFF), st.binary(max_size=20))
def test_fields_are_read_as_they_are_written(texts: list[bytes], number: int, rest: bytes) -> None:
    fields = Fields(b"".join(map(string, texts)) + uint32(number) + rest)
    assert [fields.string() for _ in texts] == texts
    assert fields.uint32() == number
    assert fields.rest() == rest
    fields.end()


@given(st.binary(max_size=20), st.integers(0, 30))
def test_no_more_is_taken_than_there_is(data: bytes, size: int) -> None:
    fields = Fields(b"\0\0\0\1" + data)
    fields.uint32()
    if size <= len(data):
        assert fields.take(size) == data[:size]
        assert fields.rest() == data[size:]
    else:
        with pytest.raises(MalformedError, match="more than there is"):
            fields.take(size)


def test_a_length_beyond_the_end_takes_no_memory() -> None:
    with pytest.raises(MalformedError, match="more than there is"):
        Fields(uint32(0xFFFFFFFF)).string()


@pytest.mark.parametrize("number", [1, 127, 128, 255, 256, 1 << 2048])
def test_a_number_is_read_as_it_is_written(number: int) -> None:
    data = number.to_bytes(number.bit_length() // 8 + 1, "big")
    assert Fields(string(data)).positive() == number
    with pytest.raises(MalformedError, match="not written as it must be"):
        Fields(string(b"\0" + data)).positive()


@pytest.mark.parametrize("data", [b"", b"\0", b"\x80", b"\xff\xff"])
def test_a_number_is_positive(data: bytes) -> None:
    with pytest.raises(MalformedError, match="not written as it must be"):
        Fields(string(data)).positive()


@pytest.mark.parametrize("text", [b"ssh\n", b"\x1b[2J", b"\xc3\xa9", b"\x7f"])
def test_a_name_has_nothing_that_a_terminal_would_obey(text: bytes) -> None:
    with pytest.raises(MalformedError, match="not printable ASCII"):
        Fields(string(text)).text()
    assert Fields(string(b"ssh-rsa me@home")).text() == "ssh-rsa me@home"


@pytest.mark.parametrize("read", [Fields.uint32, Fields.string, Fields.text, Fields.positive])
def test_an_end_that_comes_too_soon_is_told(read: Callable[[Fields], object]) -> None:
    with pytest.raises(MalformedError, match="more than there is"):
        read(Fields(b"\0\0\0"))


def test_what_follows_the_last_field_is_refused() -> None:
    fields = Fields(b"ab")
    fields.take(1)
    with pytest.raises(MalformedError, match="something follows"):
        fields.end()
