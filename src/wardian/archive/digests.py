"""Digests of records: SHA-256 for what Python reads, BLAKE3 for the storages (the format, 3.2)."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Literal

from wardian.domain.digests import RecordDigest
from wardian.forks import after_fork

if TYPE_CHECKING:
    from blake3 import blake3
    from typing_extensions import Buffer

__all__ = ["digest_of", "new_blake3"]


_SMALL = 1 << 16


def digest_of(data: Buffer, algorithm: Literal["sha256", "blake3"]) -> RecordDigest:
    """Digest all of *data* at once; BLAKE3 uses every core.

    >>> digest_of(b"", "sha256").hex[:16]
    'e3b0c44298fc1c14'
    """
    view = memoryview(data)
    size = view.nbytes
    if algorithm == "sha256":
        return RecordDigest(size, algorithm, hashlib.sha256(view).hexdigest())
    # To share out what is small takes longer than to hash it.
    hasher = _blake3()(view) if size <= _SMALL else _blake3()(view, max_threads=_threads())
    # Half of the time that its `hexdigest` takes.
    return RecordDigest(size, algorithm, hasher.digest().hex())


def new_blake3(*, all_cores: bool) -> blake3:
    """Return an empty BLAKE3 hasher.

    Args:
        all_cores: Let each `update` use all cores; else it stays in the calling thread.
    """
    return _blake3()(max_threads=_threads() if all_cores else 1)


_pool_made = False
_pool_lost = False
"""Whether it was made in a process that this one was forked from."""


def _threads() -> int:
    """Return how many threads may hash: all, but one where those that would do it are not there.

    BLAKE3 hashes with the global pool of rayon, which cannot be made anew. Its threads do not survive a fork,
    and who waits for them in the forked process waits for ever.
    """
    global _pool_made  # noqa: PLW0603  the pool is one of the process
    if _pool_lost:
        return 1
    _pool_made = True
    return _blake3().AUTO


@after_fork
def _lose_pool() -> None:
    global _pool_lost  # noqa: PLW0603
    _pool_lost = _pool_made


@cache
def _blake3() -> type[blake3]:
    # Imported late so that reading a manifest does not need the extension module.
    from blake3 import blake3

    return blake3
