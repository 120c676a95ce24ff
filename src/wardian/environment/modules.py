"""Questions to the running interpreter: modules, where they come from, and the distributions that own them.

This is the only module that asks `importlib.metadata` and `importlib.util` about the environment.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, overload

from wardian.domain.modules import ModuleFacts, ModuleKind, is_stdlib
from wardian.domain.names import ModuleName
from wardian.environment.distributions import Distributions
from wardian.environment.unpacking import on_disk

if TYPE_CHECKING:
    import importlib.metadata

__all__ = [
    "find_module",
    "find_spec",
    "is_importable",
    "is_instance",
    "is_module",
    "known_attribute",
    "variables_of",
]


_T = TypeVar("_T")


def _kind_of(origin: str | None, has_locations: bool) -> ModuleKind:
    if origin is None or origin == "namespace":
        return ModuleKind.NAMESPACE if has_locations else ModuleKind.MISSING
    if origin.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        return ModuleKind.EXTENSION
    if origin.endswith(tuple(importlib.machinery.BYTECODE_SUFFIXES)):
        return ModuleKind.BYTECODE
    if origin.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        return ModuleKind.SOURCE
    return ModuleKind.MISSING


def is_module(value: object) -> TypeGuard[types.ModuleType]:
    """Tell whether something is a module, and run nothing of it.

    `isinstance` asks what is of another class for its `__class__`, which a proxy computes: it may raise
    anything, or say that it is a module and have nothing that one has.
    """
    return issubclass(type(value), types.ModuleType)


@overload
def is_instance(value: object, kinds: type[_T]) -> TypeGuard[_T]: ...
@overload
def is_instance(value: object, kinds: types.UnionType | tuple[type, ...]) -> bool: ...
def is_instance(value: object, kinds: Any) -> bool:
    """Tell what `isinstance` tells of a value that a script has; False if its `__class__` cannot be computed.

    Unlike `is_module` it believes a proxy, such as a decorated function.
    """
    try:
        return isinstance(value, kinds)
    except Exception:  # noqa: BLE001  a property of anybody's class
        return False


def known_attribute(obj: object, name: str) -> Any:
    """Return an attribute of what is in `sys.modules` or in a script, None without one; run no `__getattr__`.

    A lazy module would import what it stands for, which may not be there.
    """
    try:
        return object.__getattribute__(obj, name)
    except Exception:  # noqa: BLE001  it has none, or a property of anybody's class raises
        return None


def variables_of(module: object) -> dict[str, Any]:
    """Return the variables of what is in `sys.modules`, empty if it has none, and run nothing of it.

    Anything may be there: a package that waits for its first use, an object of C code without a dictionary
    that says it is a module (cffi's libraries), a proxy whose class computes `__dict__`. So the descriptor
    of the interpreter is asked, never an attribute.
    """
    for cls in type.__getattribute__(type(module), "__mro__"):
        found = type.__getattribute__(cls, "__dict__").get("__dict__")
        if isinstance(found, types.MemberDescriptorType | types.GetSetDescriptorType):
            variables = found.__get__(module)
            return variables if isinstance(variables, dict) else {}
    return {}


def find_module(name: ModuleName, distributions: Distributions) -> ModuleFacts:
    """Look *name* up without importing it or a package above it that is not yet imported.

    Args:
        name: Dotted module name.
        distributions: What is installed.

    Returns:
        The facts; kind MISSING if there is no such module.
    """
    if is_stdlib(name):
        return ModuleFacts(name, ModuleKind.STDLIB)
    loaded = sys.modules.get(name)
    spec = known_attribute(loaded, "__spec__")
    origin = getattr(spec, "origin", None) if getattr(spec, "has_location", False) else None
    # A file that was removed since, as where a package replaces a module, is what no new process finds.
    if spec is None or (origin is not None and not os.path.exists(on_disk(os.path.abspath(origin)))):
        try:
            spec = _find_spec_without_import(name)
        except (ImportError, AttributeError, ValueError):
            spec = None
    if spec is None:
        file = known_attribute(loaded, "__file__")
        lazy = hasattr(type(loaded), "__getattr__")
        if file is None and loaded is not None and not lazy and "." in name:
            # Made by a compiled module, as torch._C._nn is: it comes with what is above it.
            above = find_module(ModuleName(name.rpartition(".")[0]), distributions)
            return ModuleFacts(name, ModuleKind.EXTENSION, None, False, above.distribution)
        if file is None:
            return ModuleFacts(name, ModuleKind.MISSING)
        return ModuleFacts(
            name,
            _kind_of(file, False),
            on_disk(os.path.abspath(file)),
            known_attribute(loaded, "__path__") is not None,
            distributions.owner(name, file),
        )
    locations = spec.submodule_search_locations
    origin = spec.origin if spec.has_location else None
    kind = _kind_of(origin, locations is not None)
    known = origin is not None and kind is not ModuleKind.MISSING
    file = on_disk(os.path.abspath(origin)) if known and origin is not None else None
    place = file or (next(iter(locations), None) if locations is not None else None)
    return ModuleFacts(name, kind, file, locations is not None, distributions.owner(name, place))


def find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return the spec of a module that is there, and import nothing, not even a package above it.

    Args:
        name: Dotted name, also of a loaded module, whose own spec is returned.

    Returns:
        The spec; None if there is no such module, or a finder forbids it, or it was loaded without one.
    """
    if name in sys.modules:
        spec: importlib.machinery.ModuleSpec | None = variables_of(sys.modules[name]).get("__spec__")
        return spec
    try:
        return _find_spec_without_import(ModuleName(name))
    except (ImportError, AttributeError, ValueError):
        return None


def is_importable(name: ModuleName) -> bool:
    """Tell whether a new process with this one's `sys.path` could import *name*."""
    try:
        return is_stdlib(name) or _find_spec_without_import(name) is not None
    except (ImportError, AttributeError, ValueError):
        return False


def _find_spec_without_import(name: ModuleName) -> importlib.machinery.ModuleSpec | None:
    # importlib.util.find_spec imports the parents; asking the finders along the path does not.
    path: list[str] | None = None
    spec: importlib.machinery.ModuleSpec | None = None
    prefix = ""
    for part in name.split("."):
        prefix = f"{prefix}.{part}" if prefix else part
        spec = None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            try:
                # As the import system calls it: a finder may want all three.
                spec = find(prefix, path, None) if find is not None else None
            except KeyError:
                # A namespace package looks for its parent in sys.modules (_NamespacePath).
                spec = importlib.machinery.ModuleSpec(prefix, None, is_package=True)
                folders = (os.path.join(entry, part) for entry in path or ())
                spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
            if spec is not None:
                break
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec
