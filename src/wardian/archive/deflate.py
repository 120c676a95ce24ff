"""DEFLATE: in a fraction of the time of zlib where `isal` is there, or small."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["deflate", "deflate_small"]

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this platform

    def deflate(data: Buffer) -> bytes:
        """Return *data* as a raw stream, without header."""
        # Sources take 5 % more than at 6, the default, in half of the time.
        return zlib.compress(data, 4, wbits=-zlib.MAX_WBITS)

else:

    def deflate(data: Buffer) -> bytes:
        """Return *data* as a raw stream, without header."""
        # Sources take 6 % more than by zlib at 4, in a third of its time; manifests less, in a quarter.
        return isal_zlib.compress(data, 3, wbits=-zlib.MAX_WBITS)


def deflate_small(data: Buffer) -> bytes:
    """Return *data* as a raw stream, a tenth smaller than that of `deflate`, in five times its time."""
    # Level 9 takes five times as long as 6, for one more percent.
    return zlib.compress(data, 6, wbits=-zlib.MAX_WBITS)
