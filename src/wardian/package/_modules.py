"""Where the source of a module is, in whichever importer has it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import linecache
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from wardian.domain.modules import ModuleFacts, ModuleKind, is_stdlib
from wardian.domain.names import ModuleName, top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module, is_module
from wardian.loading.importing.mount import Mount
from wardian.loading.stand_ins.mocked import MockLoader
from wardian.package.importer import Importer, leaves, sys_importer

__all__ = ["FoundModule", "exists", "find", "find_in", "find_in_stdlib", "stand_in_source"]


@dataclass(frozen=True, slots=True)
class FoundModule:
    """A module that an importer has."""

    facts: ModuleFacts
    read: Callable[[], bytes | None]
    """Returns the source, None if it cannot be found."""
    mount: Mount | None = None
    """The package it is from, None for the interpreter."""
    only_there: bool = False
    """Whether an importer of another kind has it, and the interpreter does not."""


def stand_in_source() -> bytes:
    """Return the source that takes the place of a mocked module."""
    return Path(__file__).with_name("_stand_in.py").read_bytes()


def find(importer: Importer, name: ModuleName) -> FoundModule | None:
    """Return module *name* as the first importer that has it finds it, without importing it if possible.

    Args:
        importer: Where to look.
        name: Dotted name.
    """
    folder: FoundModule | None = None
    for leaf in leaves(importer):
        found = find_in(leaf, name)
        if found is None:
            continue
        if found.mount is None or found.facts.kind is not ModuleKind.NAMESPACE:
            return found
        folder = folder or found  # a later importer may have its `__init__`
    return folder


def find_in(leaf: Importer, name: ModuleName) -> FoundModule | None:
    """Return module *name* as one importer has it; see `find`."""
    if leaf is sys_importer:
        return _in_interpreter(name)
    mount = getattr(leaf, "mount", None)
    if isinstance(mount, Mount):
        return _in_mount(mount, name)
    try:
        module = leaf.import_module(name)
    except Exception:  # noqa: BLE001  importing runs anybody's code
        return None
    found = _of_module(name, module)
    return found if sys.modules.get(name) is module else replace(found, only_there=True)


def find_in_stdlib(name: ModuleName) -> FoundModule:
    """Return a module of the standard library, with its source if it has one."""
    return _of_module(name, importlib.import_module(name))


def _in_interpreter(name: ModuleName) -> FoundModule | None:
    facts = find_module(name, Distributions.current())
    if facts.kind is ModuleKind.MISSING or name == "__main__":
        module = sys.modules.get(name)
        return None if module is None else _of_module(name, module)
    return FoundModule(facts, lambda: _read(facts))


def _read(facts: ModuleFacts) -> bytes | None:
    if facts.file is None or facts.kind is not ModuleKind.SOURCE:
        return None
    loader = getattr(getattr(sys.modules.get(facts.name), "__spec__", None), "loader", None)
    if loader is not None and type(loader) is not importlib.machinery.SourceFileLoader:
        source = _source_of_loader(loader, facts.name)  # which may know better where it is
        if source is not None:
            return source
    try:
        return Path(facts.file).read_bytes()
    except OSError:
        module = sys.modules.get(facts.name)
        if module is not None:  # which may have been made from a text that linecache has
            file = getattr(module, "__file__", None) or facts.file
            lines = linecache.getlines(file, getattr(module, "__dict__", None))
            return "".join(lines).encode() if lines else None
        spec = importlib.util.find_spec(facts.name)  # in a ZIP on sys.path
        return _source_of_loader(None if spec is None else spec.loader, facts.name)


def _source_of_loader(loader: Any, name: str) -> bytes | None:
    get_source = getattr(loader, "get_source", None)
    try:
        source = None if get_source is None else get_source(name)
    except (ImportError, OSError):
        return None
    return source.encode() if isinstance(source, str) else None


def _in_mount(mount: Mount, name: ModuleName) -> FoundModule | None:
    packed = mount.contents.modules.get(name)
    owner = next(
        (d.name for d in mount.manifest.distributions if d.version and top_level(name) in d.roots),
        None,
    )
    if packed is not None:
        facts = ModuleFacts(name, ModuleKind.SOURCE, None, packed.is_package, owner)
        return FoundModule(facts, lambda: mount.archive.read(packed.record), mount)
    if name in mount.manifest.mocks:
        return FoundModule(ModuleFacts(name, ModuleKind.SOURCE, None, True), stand_in_source, mount)
    if mount.contents.has_module(name):
        return FoundModule(ModuleFacts(name, ModuleKind.NAMESPACE, None, True), lambda: None, mount)
    if not mount.contents.answers_for(name) and (mount.allows is None or mount.allows(name)):
        return _in_interpreter(name)
    return None


def _of_module(name: ModuleName, module: ModuleType) -> FoundModule:
    """Describe a module that can only be looked at as it is in memory."""
    if isinstance(getattr(module, "__loader__", None), MockLoader):
        return FoundModule(ModuleFacts(name, ModuleKind.SOURCE, None, True), stand_in_source)
    file = getattr(module, "__file__", None)
    is_package = hasattr(module, "__path__")
    if isinstance(file, str) and file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        kind = ModuleKind.EXTENSION
    elif file is None and is_package:
        kind = ModuleKind.NAMESPACE
    else:
        kind = ModuleKind.SOURCE if isinstance(file, str) and file.endswith(".py") else ModuleKind.MISSING
    facts = ModuleFacts(name, kind, file if kind is not ModuleKind.MISSING else None, is_package)
    loader = getattr(getattr(module, "__spec__", None), "loader", None) or getattr(module, "__loader__", None)

    def read() -> bytes | None:
        source = _source_of_loader(loader, module.__name__)
        return source if source is not None else _read(facts)

    return FoundModule(facts, read)


def exists(importer: Importer, name: ModuleName) -> bool:
    """Tell whether *name* is a module, not an attribute of one, where packed code would look for it."""
    if is_stdlib(name):
        return _is_stdlib_module(name)
    parent, _, last = name.rpartition(".")
    loaded = sys.modules.get(parent)
    if name not in sys.modules and loaded is not None and hasattr(loaded, "__dict__"):
        attribute = loaded.__dict__.get(last)
        if attribute is not None and not is_module(attribute):
            return any(isinstance(getattr(leaf, "mount", None), Mount) for leaf in leaves(importer)) and (
                find(importer, name) is not None
            )
    return find(importer, name) is not None


def _is_stdlib_module(name: str) -> bool:
    if name in sys.modules:
        return True
    parent, _, last = name.rpartition(".")
    if parent and hasattr(sys.modules.get(parent), last):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecated modules, whose parents this imports
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, AttributeError, ValueError):
            return False
