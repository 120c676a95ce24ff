"""Facts about a module: where it comes from, and which distribution owns it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wardian.domain.names import (
    ModuleName,
    top_level,
)

__all__ = ["ModuleFacts", "ModuleKind", "PackedOrigin", "TORCH", "is_always_there", "is_stdlib"]


class ModuleKind(StrEnum):
    """The kinds of things that a module name can stand for."""

    STDLIB = "stdlib"
    SOURCE = "source"
    EXTENSION = "extension"
    BYTECODE = "bytecode"
    NAMESPACE = "namespace"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """Where a module comes from."""

    name: ModuleName
    kind: ModuleKind
    file: str | None = None
    """Absolute path of its source, bytecode or shared library."""
    is_package: bool = False
    distribution: str | None = None
    """Normalised name of the distribution that owns it; None for first-party code and the stdlib."""


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
    """Top-level names that several distributions share, as `facts.Trace` has them."""
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


def is_stdlib(name: ModuleName) -> bool:
    """Tell whether *name* belongs to the standard library, its private accelerators included.

    >>> is_stdlib(ModuleName("os.path")), is_stdlib(ModuleName("_socket")), is_stdlib(ModuleName("numpy"))
    (True, True, False)
    """
    top = top_level(name)
    # `_sysconfigdata_<abi>_<platform>` is made when CPython is built, and so is on no list.
    return top in sys.stdlib_module_names or top == "__main__" or top.startswith("_sysconfigdata")


def is_always_there(name: ModuleName) -> bool:
    """Tell whether *name* is there wherever a case is opened: of the standard library, or Wardian itself."""
    return is_stdlib(name) or top_level(name) == "wardian"


TORCH = "torch"
"""The distribution that is always there; with what it requires, it is never packed."""
