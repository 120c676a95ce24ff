"""CRC-32 at the speed of memory, where `isal` is there."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["crc32"]

crc32: Callable[..., int]
"""As `zlib.crc32`."""

try:
    # 24 GB/s, where zlib reaches 4 and would be the slowest step of writing.
    from isal.isal_zlib import crc32
except ImportError:  # no wheel for this platform
    from zlib import crc32
