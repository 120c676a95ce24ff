"""The digest of a record, as the manifest gives it (docs/reference/format.md, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["RecordDigest"]


@dataclass(frozen=True, slots=True)
class RecordDigest:
    """The size and digest of one record's content, as the manifest states them."""

    size: int
    """Bytes before deflating."""
    algorithm: Literal["sha256", "blake3"]
    """`blake3` for storage records, `sha256` for all others."""
    hex: str
    """64 lower-case hexadecimal digits."""
