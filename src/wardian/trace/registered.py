"""What the user's modules registered when they were imported, though nothing in the object names them.

import shop.blocks  # @register in it fills shop.registry.BLOCKS, by which the model makes its layers
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from wardian.capture.homes import is_captured, is_globals
from wardian.environment import Distributions, is_stdlib, known_attribute, variables_of
from wardian.live.roots import get_root
from wardian.names import LIVE_PREFIX, original_name, top_level

__all__ = ["find_registered", "modules_beside", "users_modules"]

_DEPTH = 3
"""Containers within containers that are looked through."""
_MANY = 10_000
"""Entries of a container that are looked at; a registry is no table of data."""


def modules_beside(named: Iterable[str], seen: Collection[str]) -> dict[str, types.ModuleType]:
    """Return the user's loaded modules from the folders, or open cases, that modules *named* come from.

    Args:
        named: Names of loaded modules; those of the standard library and of distributions count for nothing.
        seen: Names of modules to leave out; those of cases by their full or their original names.

    Returns:
        Name → module, in the order of their import.
    """
    homes = {home for name in named if (home := _home_of(name)) is not None}
    return {
        name: module
        for name, module in list(sys.modules.items())
        if homes and name not in seen and original_name(name) not in seen and _home_of(name) in homes
    }


def users_modules(names: Iterable[str]) -> list[types.ModuleType]:
    """Return the loaded modules among *names* that are the user's, or of a library without compiled code.

    Args:
        names: Full names of modules: of a case and of the environment there may be one each.
    """
    wanted = frozenset(names)
    found = []
    for name, module in list(sys.modules.items()):
        original = original_name(name)
        if name not in wanted or not isinstance(module, types.ModuleType) or is_stdlib(original):
            continue
        file = known_attribute(module, "__file__")
        owner = Distributions.current().owner(original, file) if isinstance(file, str) else None
        distribution = Distributions.current().get(owner or "")
        compiled = distribution is not None and any(f.endswith((".so", ".pyd")) for f in distribution.files)
        if isinstance(file, str) and not compiled and top_level(original) not in ("torch", "wardian"):
            found.append(module)
    return found


def _home_of(name: str) -> str | None:
    """Return the folder on `sys.path`, or the open case, that a loaded module of the user comes from."""
    if name.startswith(LIVE_PREFIX):
        parts = name.split(".")
        root = get_root(parts[2]) if len(parts) > 3 else None
        return root.name if root is not None and parts[3] in root.first_party else None
    module = sys.modules.get(name)
    # multiprocessing calls the script `__mp_main__`, too.
    if not isinstance(module, types.ModuleType) or variables_of(module).get("__name__") == "__main__":
        return None
    file = known_attribute(module, "__file__")
    if not isinstance(file, str) or not os.path.isfile(file):
        return None
    original = original_name(name)
    if top_level(original) == "wardian" or is_stdlib(original):
        return None
    if Distributions.current().owner(original, file) is not None:
        return None
    folder = os.path.dirname(os.path.abspath(file))
    depth = name.count(".") + (known_attribute(module, "__path__") is not None)
    return os.path.normpath(os.path.join(folder, *[".."] * depth))


def find_registered(loaded: Iterable[str], unseen: Mapping[str, types.ModuleType]) -> list[Any]:
    """Return classes and functions of *unseen* modules that variables of *loaded* modules hold.

    Only what is found in containers counts, in globals and class attributes of those modules, and in the
    attributes of objects of their classes: a registry is one of these.

    Args:
        loaded: Original names of modules.
        unseen: Name → module.
    """
    wanted = {*unseen, "__main__"}
    # What was a script when the object was packed first.
    wanted |= {
        name for name in sys.modules if name.startswith(LIVE_PREFIX) and is_captured(original_name(name))
    }
    names = frozenset(map(original_name, loaded))
    found: dict[int, Any] = {}
    # Sorted: what was imported first is another where the object was loaded from a case.
    for name, module in sorted(sys.modules.items(), key=lambda item: original_name(item[0])):
        if original_name(name) not in names or not isinstance(module, types.ModuleType):
            continue
        if name.partition(".")[0] == "torch":
            continue
        # `vars` would run a package that waits for its first use.
        variables = variables_of(module)
        for value in list(variables.values()):
            holders = [value]
            if _is_own_class(value, name):  # `__orig_bases__` is no registry
                holders = [held for key, held in list(vars(value).items()) if not key.startswith("__")]
            for holder in holders:
                _search(holder, name, wanted, found, _DEPTH)
    return list(found.values())


def _is_own_class(value: Any, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def _search(value: Any, module: str, wanted: set[str], found: dict[int, Any], depth: int) -> None:
    items = _items(value, module)
    if len(items) > _MANY or is_globals(value):
        return
    for item in list(items):
        kind = type(item)
        if issubclass(kind, type | types.FunctionType):
            if item.__module__ in wanted:
                found.setdefault(id(item), item)
        elif depth:
            _search(item, module, wanted, found, depth - 1)


def _items(value: Any, module: str) -> Collection[Any]:
    """Return what a container, or an object of a class of the library of *module*, holds; run no code of it.

    Methods of a subclass may do anything: those of transformers' mappings import every model.
    """
    kind = type(value)
    items: list[Any] = []
    if issubclass(kind, dict):
        items += dict.values(value)
    for base in (list, tuple, set, frozenset):
        if issubclass(kind, base):
            items += base.__iter__(value)
    own = top_level(original_name(str(kind.__module__))) == top_level(original_name(module))
    if own and not issubclass(kind, type | types.ModuleType):
        with contextlib.suppress(AttributeError):
            items += dict.values(object.__getattribute__(value, "__dict__"))
    return items
