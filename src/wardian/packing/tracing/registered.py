"""Objects that the user's modules registered when they were imported, though the object names none of them.

import shop.blocks  # @register in it fills shop.registry.BLOCKS, by which the model makes its layers
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import Any

from wardian.capture.homes import is_captured, is_globals
from wardian.domain.live_names import is_live, original_name, split_live
from wardian.domain.modules import is_stdlib
from wardian.domain.names import top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import is_instance, is_module, known_attribute, variables_of
from wardian.loading.open_mounts import get_mount

__all__ = ["find_registered", "modules_beside", "only_of", "users_modules"]

_DEPTH = 3
"""Containers within containers that are looked through."""
_MANY = 10_000
"""Entries of a container that are looked at; a registry is no table of data."""


_RUNNING = frozenset({"asyncio", "atexit", "concurrent", "multiprocessing", "queue", "threading", "weakref"})
"""Modules whose tables hold what runs in this process, or will: threads, tasks, children, calls at the end.
The function of a thread of the script is no registered one, whatever else the run has imported."""


def modules_beside(named: Iterable[str], seen: Collection[str]) -> dict[str, types.ModuleType]:
    """Return the user's loaded modules from the folders, or open cases, that modules *named* come from.

    Args:
        named: Names of loaded modules; those of the standard library and of distributions count for nothing.
        seen: Names of modules to leave out; those of cases by their full or their original names.

    Returns:
        Name → module, in the order of their import.
    """
    distributions = Distributions.current()
    homes = {home for name in named if (home := _home_of(name, distributions)) is not None}
    return {
        name: module
        for name, module in sys.modules.copy().items()
        if homes and name not in seen and original_name(name) not in seen
        if _home_of(name, distributions) in homes
    }


def users_modules(names: Iterable[str]) -> list[types.ModuleType]:
    """Return the loaded modules among *names* that are the user's, or of a library without compiled code.

    Args:
        names: Full names of modules: of a case and of the environment there may be one each.
    """
    wanted = frozenset(names)
    found = []
    distributions = Distributions.current()
    for name, module in sys.modules.copy().items():
        original = original_name(name)
        if name not in wanted or not is_module(module) or is_stdlib(original):
            continue
        file = known_attribute(module, "__file__")
        if not isinstance(file, str) or top_level(original) in ("torch", "wardian"):
            continue
        distribution = distributions.get(distributions.owner(original, file) or "")
        if distribution is None or not distribution.is_compiled:
            found.append(module)
    return found


def _home_of(name: str, distributions: Distributions) -> str | None:
    """Return the folder on `sys.path`, or the open case, that a loaded module of the user comes from."""
    if is_live(name):
        short, own = split_live(name)
        mount = get_mount(short) if own else None
        return mount.name if mount is not None and top_level(own) in mount.contents.first_party else None
    module = sys.modules.get(name)
    # multiprocessing calls the script `__mp_main__`, too.
    if not is_module(module) or variables_of(module).get("__name__") == "__main__":
        return None
    file = known_attribute(module, "__file__")
    original = original_name(name)
    if not isinstance(file, str) or top_level(original) == "wardian" or is_stdlib(original):
        return None
    # Most are of a distribution, and to look at the file takes longer.
    if distributions.owner(original, file) is not None or not os.path.isfile(file):
        return None
    folder = os.path.dirname(os.path.abspath(file))
    depth = name.count(".") + (known_attribute(module, "__path__") is not None)
    return os.path.normpath(os.path.join(folder, *[".."] * depth))


def find_registered(loaded: Iterable[str], unseen: Collection[str]) -> list[Any]:
    """Return classes and functions of *unseen* modules that variables of *loaded* modules hold.

    Only what is found in containers counts, in globals and class attributes of those modules, and in the
    attributes of objects of their classes: a registry is one of these.

    Args:
        loaded: Original names of modules.
        unseen: Names of modules; those of scripts count, too.
    """
    wanted = {*unseen, *_scripts()}
    names = frozenset(map(original_name, loaded))
    found: dict[int, Any] = {}
    searches: dict[str, _Search] = {}
    # Sorted: what was imported first is another where the object was loaded from a case.
    for name, module in sorted(sys.modules.copy().items(), key=lambda item: original_name(item[0])):
        if original_name(name) not in names or not is_module(module):
            continue
        library = top_level(original_name(name))
        if library == "torch" or library in _RUNNING:
            continue
        search = searches.get(library)
        if search is None:
            search = searches[library] = _Search(library, wanted, found)
        for value in list(variables_of(module).values()):
            search.through(value, _DEPTH)
            if _is_own_class(value, name):  # `__orig_bases__` is no registry
                for key, held in list(vars(value).items()):
                    if not key.startswith("__"):
                        search.through(held, _DEPTH)
    return list(found.values())


def only_of(found: Iterable[Any], unseen: Collection[str]) -> list[Any]:
    """Return what `find_registered` finds of *unseen* modules, of what it *found* of these and more."""
    wanted = {*unseen, *_scripts()}
    return [each for each in found if each.__module__ in wanted]


def _scripts() -> set[str]:
    """Return the names of the script, and of what was a script when an object was packed first."""
    live = (name for name in sys.modules if is_live(name))
    return {"__main__", *(name for name in live if is_captured(original_name(name)))}


def _is_own_class(value: Any, module: str) -> bool:
    return is_instance(value, type) and value.__module__ == module


class _Search:
    """One search of what the modules of a library hold, in which nothing is looked through twice.

    Modules import what others hold, and hold it, too: of transformers a visit of each cost 1.6 million.

    Args:
        library: Top-level name of the modules.
        wanted: Names of the modules whose classes and functions are looked for.
        found: What is found goes there, by its id.
    """

    def __init__(self, library: str, wanted: Container[str], found: dict[int, Any]) -> None:
        self._library = library
        self._wanted = wanted
        self._found = found
        self._kinds: dict[type, tuple[_Reader, ...] | None] = {}
        # By id; the object is held, so that no other gets it. With how deep it was looked through.
        self._done: dict[int, tuple[Any, int]] = {}

    def through(self, value: Any, depth: int) -> None:
        """Look through a container, and containers within it down to a depth of *depth*."""
        readers = self._readers(type(value))
        if not readers:
            return
        done = self._done.get(id(value))
        if done is not None and done[1] >= depth:
            return
        items: list[Any] = []
        for read in readers:
            items += read(value)
        if len(items) <= _MANY and not is_globals(value):
            for item in items:
                readers = self._readers(type(item))
                if readers is None:
                    if item.__module__ in self._wanted:
                        self._found.setdefault(id(item), item)
                elif readers and depth:
                    self.through(item, depth - 1)
        # At the end: within itself it is looked through again, so that all is found in the order of a search
        # that remembers nothing.
        self._done[id(value)] = value, depth

    def _readers(self, kind: type) -> tuple[_Reader, ...] | None:
        """Return what reads the items of an object of a class; None for classes and functions themselves.

        Methods of a subclass may do anything: those of transformers' mappings import every model.
        """
        try:
            return self._kinds[kind]
        except KeyError:
            pass
        readers = tuple(read for base, read in _CONTAINERS.items() if issubclass(kind, base))
        own = top_level(original_name(str(kind.__module__))) == self._library
        if own and not issubclass(kind, types.ModuleType):
            readers += (_attributes,)
        is_code = issubclass(kind, type | types.FunctionType)
        return self._kinds.setdefault(kind, None if is_code else readers)


_Reader = Callable[[Any], Iterable[Any]]


def _attributes(value: Any) -> Iterable[Any]:
    return dict.values(variables_of(value))


_CONTAINERS: Mapping[type, _Reader] = {
    dict: dict.values,
    list: list.__iter__,
    tuple: tuple.__iter__,
    set: set.__iter__,
    frozenset: frozenset.__iter__,
}
"""How the items of a container are read without a method of its class."""
