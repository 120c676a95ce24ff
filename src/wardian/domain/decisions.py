"""A decision about one module, and a file that is packed."""

from __future__ import annotations

from dataclasses import dataclass, field

from wardian.domain.names import ModuleName, RecordName
from wardian.domain.policy import Action

__all__ = ["Decision", "FIRST_PARTY", "PackedFile"]


FIRST_PARTY = "first-party"
"""The word in place of a distribution's name for code that no distribution owns."""


@dataclass(frozen=True, slots=True, order=True)
class Decision:
    """The action for one module, and its reason."""

    module: ModuleName
    action: Action
    reason: str
    distribution: str | None
    """Normalised name; None for first-party code."""

    def __str__(self) -> str:
        return f"{self.module}: {self.action} ({self.reason})"


@dataclass(frozen=True, slots=True, order=True)
class PackedFile:
    """One file that goes into the case."""

    record: RecordName
    path: str
    """Where its content is read from."""
    size: int
    """In bytes."""
    module: ModuleName | None
    """The module it is the source of, None for data."""
    distribution: str | None
    content: bytes | None = field(default=None, repr=False)
    """Its content if no file holds it."""
