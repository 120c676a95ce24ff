"""Deflated bytes are a raw stream that any reader of ZIP files inflates."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.archive.deflate import deflate, deflate_small

both = pytest.mark.parametrize("pack", [deflate, deflate_small])


@both
@given(data=st.binary(max_size=500) | st.binary(min_size=1, max_size=4).map(lambda part: part * 500))
def test_zlib_inflates_it_with_nothing_left(pack: Callable[[object], bytes], data: bytes) -> None:
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    assert stream.decompress(pack(memoryview(data))) == data
    assert stream.eof
    assert stream.unused_data == b""


@both
def test_equal_content_gives_equal_bytes_and_less_of_them(pack: Callable[[object], bytes]) -> None:
    source = b"class Oak(nn.Module):\n    pass\n" * 40
    assert pack(source) == pack(bytearray(source))
    assert len(pack(source)) < len(source) // 10


def test_sources_are_smaller_where_more_time_is_taken() -> None:
    source = Path(__file__).read_bytes()
    assert len(deflate_small(source)) < len(deflate(source))
