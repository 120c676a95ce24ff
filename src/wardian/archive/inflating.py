"""Deflated records: as many bytes as were asked for, and no more, whatever the stream holds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wardian.archive.central_directory import DamageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["inflate", "inflate_beginning", "inflate_parts"]


def inflate(packed: Buffer, size: int) -> bytes:
    """Return what a raw stream holds.

    Raises:
        DamageError: if that is not *size* bytes, or the stream is none.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    # One byte more than there should be, to see that the stream ends; no bomb gets further.
    content = _next(inflater, packed, size + 1)
    if len(content) != size or not inflater.eof or inflater.unused_data:
        raise DamageError(f"it does not inflate to exactly {size:,} bytes")
    return content


def inflate_beginning(packed: Buffer, size: int) -> bytes:
    """Return the first *size* bytes of what the beginning of a raw stream holds, or all that it has.

    Raises:
        DamageError: if the stream is none.
    """
    return _next(zlib.decompressobj(-zlib.MAX_WBITS), packed, size)


def inflate_parts(packed: Buffer, size: int, most: int) -> Iterator[bytes]:
    """Yield what a raw stream holds, *most* bytes at once, and end soon after *size*.

    Raises:
        DamageError: if the stream is none.
    """
    inflater, done = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and done <= size:
        part = _next(inflater, packed, most)
        if not part:
            break
        yield part
        done += len(part)
        packed = inflater.unconsumed_tail


def _next(inflater: zlib._Decompress, packed: Buffer, most: int) -> bytes:
    try:
        return inflater.decompress(packed, most)
    except zlib.error as error:
        raise DamageError(f"it does not inflate: {error}") from None
