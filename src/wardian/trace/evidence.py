"""What a run of the object in a clean process showed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Evidence", "ObservedImport"]


@dataclass(frozen=True, slots=True, order=True)
class ObservedImport:
    """One import that was carried out."""

    importer: str
    imported: str
    line: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts of one run, all sorted."""

    modules: tuple[str, ...]
    """Modules that were imported for the object, or that code imported for it asked for."""
    imports: tuple[ObservedImport, ...]
    absent: tuple[str, ...]
    """Top-level names that were asked for and not found."""
    files: tuple[str, ...]
    """Files and folders that were opened or listed."""
    libraries: tuple[str, ...]
    """Shared libraries that were loaded by path."""
    namespaces: tuple[str, ...]
    """Operator namespaces that were registered."""
    ran: bool
    """Whether the object was called with the inputs."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Evidence:
        """Undo `to_plain`."""
        imports = tuple(ObservedImport(**item) for item in data["imports"])
        rest = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "imports"}
        return cls(imports=imports, **rest)
