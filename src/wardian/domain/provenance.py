"""Where a case comes from, as its metadata have it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

__all__ = ["KEY", "Provenance", "Repository"]


KEY = "provenance"
"""The key of the provenance in the metadata of a case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository that packed files are from."""

    commit: str | None
    """Hexadecimal; None before the first commit."""
    changed: bool
    """Whether its working tree differs from the commit, or packed files are not in it."""
    modules: tuple[str, ...]
    """Top-level names of packed modules that are from it; sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a case comes from, as the metadata of a case have it."""

    command: str
    repositories: tuple[Repository, ...]

    def to_text(self) -> str:
        """Return it as the text of the metadata: JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Self | None:
        """Return what the metadata of a case say; None if they say nothing that has the form.

        >>> text = Provenance(command="python train.py", repositories=()).to_text()
        >>> Provenance.of({"provenance": text}).command
        'python train.py'
        """
        try:
            found = json.loads(metadata[KEY])
            return cls(
                command=str(found["command"]),
                repositories=tuple(
                    Repository(
                        commit=None if one["commit"] is None else str(one["commit"]),
                        changed=bool(one["changed"]),
                        modules=tuple(map(str, one["modules"])),
                    )
                    for one in found["repositories"]
                ),
            )
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
