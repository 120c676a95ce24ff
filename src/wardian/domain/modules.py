"""Facts about a module: where it comes from, and which distribution owns it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum

from wardian.domain.names import (
    ModuleName,
    top_level,
)

__all__ = ["ModuleFacts", "ModuleKind", "TORCH", "is_always_there", "is_stdlib"]


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
