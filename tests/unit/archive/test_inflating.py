"""Streams that end too soon, too late, or are none."""

from __future__ import annotations

import pytest

from wardian.archive.central_directory import DamageError
from wardian.archive.deflate import deflate
from wardian.archive.inflating import inflate, inflate_beginning, inflate_parts

CONTENT = b"class Oak: ...\n" * 500


def test_what_was_deflated_comes_back() -> None:
    packed = deflate(CONTENT)
    assert inflate(packed, len(CONTENT)) == CONTENT
    assert inflate_beginning(packed, 9) == b"class Oak"
    parts = list(inflate_parts(packed, len(CONTENT), 1000))
    assert b"".join(parts) == CONTENT
    assert max(map(len, parts)) <= 1000


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (deflate(CONTENT), len(CONTENT) - 1),
        (deflate(CONTENT), len(CONTENT) + 1),
        (deflate(CONTENT)[:-1], len(CONTENT)),
        (deflate(CONTENT) + b"more", len(CONTENT)),
    ],
)
def test_another_size_or_end_is_damage(packed: bytes, size: int) -> None:
    with pytest.raises(DamageError, match=rf"^it does not inflate to exactly {size:,} bytes$"):
        inflate(packed, size)


def test_what_is_no_stream_is_damage() -> None:
    with pytest.raises(DamageError, match=r"^it does not inflate: "):
        inflate(b"\xff" * 20, 5)
    with pytest.raises(DamageError, match=r"^it does not inflate: "):
        inflate_beginning(b"\xff" * 20, 5)
    with pytest.raises(DamageError, match=r"^it does not inflate: "):
        list(inflate_parts(b"\xff" * 20, 5, 5))


def test_parts_end_soon_after_the_size_that_there_should_be() -> None:
    assert sum(map(len, inflate_parts(deflate(bytes(1 << 20)), 1000, 600))) == 1200
    assert list(inflate_parts(deflate(CONTENT)[:0], 10, 10)) == []
