"""Limits of the container (docs/reference/format.md, 7), checked before anything is allocated."""

from __future__ import annotations

__all__ = [
    "FREE_MANIFEST_BYTES",
    "FREE_PARSED_BYTES",
    "MAX_DIRECTORY_BYTES",
    "MAX_ENTRIES",
    "MAX_MANIFEST_BYTES",
    "MAX_MANIFEST_RATIO",
    "MAX_PARSED_RATIO",
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

FREE_PARSED_BYTES = 1 << 18
"""Bytes of code and pickles that are parsed to look at any archive, however small."""

MAX_PARSED_RATIO = 8
"""Further such bytes for each byte of the file: parsing takes up to a thousand times a source, and sources
deflate to a fifth of their size."""
