"""The checksum of the platform's fastest library is the one that ZIP means."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from wardian.archive.crc import crc32


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_it_is_that_of_zlib_at_once_and_in_parts(first: bytes, second: bytes) -> None:
    assert crc32(first + second) == zlib.crc32(first + second)
    assert crc32(memoryview(second), crc32(first)) == zlib.crc32(first + second)
