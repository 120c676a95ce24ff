"""Limits of the container (docs/format.md, 7), checked before anything is allocated."""

from __future__ import annotations

__all__ = [
    "MAX_DIRECTORY_BYTES",
    "MAX_ENTRIES",
    "MAX_MANIFEST_BYTES",
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

MAX_RATIO = 1100
"""Bytes before deflating for each byte after; DEFLATE itself reaches at most 1,032."""
