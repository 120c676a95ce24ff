"""Limits of the container (docs/format.md, 7), checked before anything is allocated."""

from __future__ import annotations

__all__ = [
    "FREE_MANIFEST_BYTES",
    "MAX_DIRECTORY_BYTES",
    "MAX_ENTRIES",
    "MAX_MANIFEST_BYTES",
    "MAX_MANIFEST_RATIO",
    "MAX_RATIO",
    "MAX_RECORD_BYTES",
]

MAX_ENTRIES = 1_048_576
"""Entries in one archive, manifest and seal included."""

MAX_DIRECTORY_BYTES = 512 << 20
"""Bytes of the central directory."""

MAX_MANIFEST_BYTES = 256 << 20
"""Bytes of the manifest, before deflating."""

MAX_RECORD_BYTES = 1 << 30
"""Bytes of a record other than a storage, before deflating."""

MAX_MANIFEST_RATIO = 128
"""Bytes of a manifest over 1 MiB before deflating for each byte after: to read it takes many times that."""

FREE_MANIFEST_BYTES = 1 << 20
"""Bytes of a manifest to which that does not apply."""

MAX_RATIO = 1100
"""Bytes before deflating for each byte after; DEFLATE itself reaches at most 1,032."""
