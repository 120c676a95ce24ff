"""Storages on their way to the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest
from blake3 import blake3

from wardian.archive import streaming
from wardian.archive.streaming import Streams, small_content

CONTENT = bytes(range(256)) * 3


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    monkeypatch.setattr(streaming, "_CHUNK", 100)
    streams = Streams()
    yield streams
    streams.close()


@pytest.mark.parametrize(
    "data", [CONTENT, bytearray(CONTENT), memoryview(CONTENT).cast("I"), [CONTENT[:5], b"", CONTENT[5:]]]
)
def test_what_is_written_is_hashed(data: bytes, streams: Streams) -> None:
    chunks: list[bytes] = []
    crc, digest = streams.copy(data, len(CONTENT), lambda chunk: chunks.append(bytes(chunk)))
    assert b"".join(chunks) == CONTENT
    assert max(map(len, chunks)) == 100
    assert (crc, digest) == (zlib.crc32(CONTENT), blake3(CONTENT).hexdigest())


def test_a_buffer_may_be_used_again(streams: Streams) -> None:
    def parts() -> Iterator[bytearray]:
        buffer = bytearray(256)
        for start in range(0, len(CONTENT), 256):
            buffer[:] = CONTENT[start : start + 256]
            yield buffer

    assert streams.copy(parts(), len(CONTENT), lambda _: None)[1] == blake3(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("size", "message"), [(767, "has 768 bytes or more, not 767"), (769, "768 bytes, not 769")]
)
def test_another_size_is_an_error(size: int, message: str, streams: Streams) -> None:
    with pytest.raises(ValueError, match=message):
        streams.copy(CONTENT, size, lambda _: None)


def test_only_one_small_buffer_of_its_size_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_INLINE", 4)
    assert small_content(b"bark", 4) == small_content(bytearray(b"bark"), 4) == b"bark"
    assert small_content(b"", 0) == b""
    for data, size in ((b"bark", 3), (b"trunk", 5), (bytearray(b"trunk"), 5), ([b"bark"], 4)):
        assert small_content(data, size) is None
