"""Digests of records: SHA-256 for what Python reads, BLAKE3 for the storages (docs/format.md, 3.2)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from blake3 import blake3
    from typing_extensions import Buffer

__all__ = ["RecordDigest", "digest_of", "new_blake3"]


_SMALL = 1 << 16


@dataclass(frozen=True, slots=True)
class RecordDigest:
    """What the manifest says of the content of one record."""

    size: int
    """Bytes before deflating."""
    algorithm: Literal["sha256", "blake3"]
    """`blake3` for storage records, `sha256` for all others."""
    hex: str
    """64 lower-case hexadecimal digits."""


def digest_of(data: Buffer, algorithm: Literal["sha256", "blake3"]) -> RecordDigest:
    """Digest all of *data* at once; BLAKE3 uses every core.

    >>> digest_of(b"", "sha256").hex[:16]
    'e3b0c44298fc1c14'
    """
    view = memoryview(data)
    size = view.nbytes
    if algorithm == "sha256":
        return RecordDigest(size, algorithm, hashlib.sha256(view).hexdigest())
    make = _blake3()
    # To share out what is small takes longer than to hash it.
    hasher = make(view) if size <= _SMALL else make(view, max_threads=make.AUTO)
    # Half of the time that its `hexdigest` takes.
    return RecordDigest(size, algorithm, hasher.digest().hex())


def new_blake3(*, all_cores: bool) -> blake3:
    """Return an empty BLAKE3 hasher.

    Args:
        all_cores: Let each `update` use all cores; else it stays in the calling thread.
    """
    make = _blake3()
    return make(max_threads=make.AUTO if all_cores else 1)


@cache
def _blake3() -> type[blake3]:
    # Imported late so that reading a manifest does not need the extension module.
    from blake3 import blake3

    return blake3
