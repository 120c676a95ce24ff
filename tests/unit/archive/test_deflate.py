"""Deflated bytes are a raw stream that any reader of ZIP files inflates."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from wardian.archive.deflate import deflate


@given(st.binary(max_size=500) | st.binary(min_size=1, max_size=4).map(lambda part: part * 500))
def test_zlib_inflates_it_with_nothing_left(data: bytes) -> None:
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    assert stream.decompress(deflate(memoryview(data))) == data
    assert stream.eof
    assert stream.unused_data == b""


def test_equal_content_gives_equal_bytes_and_less_of_them() -> None:
    source = b"class Oak(nn.Module):\n    pass\n" * 40
    assert deflate(source) == deflate(bytearray(source))
    assert len(deflate(source)) < len(source) // 10
