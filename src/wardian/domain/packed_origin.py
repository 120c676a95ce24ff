"""Open cases as places that packed modules come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wardian.domain.modules import ModuleFacts
from wardian.domain.names import ModuleName, top_level

__all__ = ["PackedOrigin"]


@dataclass(frozen=True, slots=True)
class PackedOrigin:
    """An open case as a place that modules come from.

    Objects that were loaded from it are packed with its modules, not with those installed by now.
    """

    path: str
    """The case."""
    module_prefix: str
    """Prefix of the full names of its modules: `wardian.live.resnet18_3f9a2c1b.`."""
    roots: frozenset[str]
    """Top-level names it serves."""
    modules: Mapping[ModuleName, ModuleFacts]
    """Its modules; their files lie on disk."""
    versions: Mapping[str, str]
    """Its distributions: normalised name → version."""
    files: Mapping[str, tuple[tuple[str, str, int], ...]]
    """Distribution → (record name, path, size in bytes) of its sources and data files."""
    metadata: Mapping[str, Mapping[str, bytes]]
    """Distribution → `.dist-info` files."""
    absent: tuple[str, ...]
    """Top-level names that were not there when it was made."""
    materialised: tuple[str, ...]
    """Top-level names whose files code looked at when it was made."""
    lacking: tuple[tuple[str | None, str | None, tuple[str, ...], tuple[str, ...]], ...] = ()
    """Soft externs that are not installed: distribution, version, modules and names of each."""
    mixed: frozenset[str] = frozenset()
    """Top-level names of which the object has parts from the environment, too."""
    sharing: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    """Top-level names that several distributions share, as `wardian.domain.trace.Trace` has them."""
    asked: tuple[str, ...] = ()
    """Distributions of which it has no more than the version, because code asks for that: `name==version`."""
    imports: Mapping[str, str] = field(default_factory=dict)
    """Module → the line that says by which import it came (docs/reference/format.md, 5.11)."""
    beside: tuple[tuple[str, str], ...] = ()
    """Record name and path of data that code has looked at beside the packages."""
    mocks: tuple[str, ...] = ()
    """Modules that are mocked in it."""

    def original(self, name: str) -> ModuleName | None:
        """Return the own name of a module by its full name; None if it is not one of this case."""
        if not name.startswith(self.module_prefix):
            return None
        own = ModuleName(name[len(self.module_prefix) :])
        return own if top_level(own) in self.roots else None
