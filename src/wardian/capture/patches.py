"""Changes that a script made in modules that are imported: they are made again when the object is loaded."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from wardian.capture.homes import is_globals, is_importable
from wardian.capture.script import Script
from wardian.capture.statements import is_generated
from wardian.domain.names import top_level
from wardian.environment.modules import is_instance, variables_of

__all__ = ["Change", "Holder", "find_changes", "find_held", "find_patches"]


class Change(NamedTuple):
    """A name that a script set in a module, or in a class of one."""

    owner: object
    name: str
    value: object


class Holder(NamedTuple):
    """A container that a module keeps: a dictionary, list or set."""

    module: str
    path: str


def find_patches(cls: type, is_synthesised: Callable[[dict[str, Any]], bool]) -> Iterator[tuple[str, Change]]:
    """Yield the methods that a script gave to a class of a module, and to those above it, and whose each is.

    Args:
        cls: The class.
        is_synthesised: Tells of the globals of a function whether no import leads to it.
    """
    for owner in cls.__mro__:
        yield from _patches_of(owner, is_synthesised)


def _patches_of(
    owner: type, is_synthesised: Callable[[dict[str, Any]], bool]
) -> Iterator[tuple[str, Change]]:
    """Yield the methods that a script gave to a class itself."""
    module = owner.__module__
    if top_level(module) in ("builtins", "torch") or not is_importable(module):
        return
    for name, value in list(vars(owner).items()):
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not isinstance(function, types.FunctionType) or "__wrapped__" in vars(function):
            continue
        scope = function.__globals__
        if scope.get("__name__") == module or is_generated(function.__code__):
            continue
        if is_synthesised(scope):
            yield f"{module}.{owner.__qualname__}", Change(owner, name, value)


def find_changes(
    modules: Iterable[types.ModuleType],
    settings: Iterable[tuple[types.ModuleType | type, str]],
    scripts: Collection[Script],
    is_synthesised: Callable[[dict[str, Any]], bool],
) -> Iterator[tuple[str, Change]]:
    """Yield what is changed in modules and their classes, and whose each is.

    Args:
        modules: Where to look.
        settings: What was set by statements: the module or class, and the name.
        scripts: Scripts that run, or that open cases were packed by.
        is_synthesised: As for `find_patches`.
    """
    inside = {id(module): module for module in modules}
    for owner, name in settings:
        is_class = isinstance(owner, type)
        home = sys.modules.get(owner.__module__) if is_class else owner
        members = type.__getattribute__(owner, "__dict__") if is_class else vars(owner)
        # Where a class is found is for the case to say.
        if id(home) not in inside or name not in members or name == "__module__":
            continue
        value = members[name]
        # A method that was decorated, such as one that was compiled, is of the process.
        if is_class and isinstance(value, types.FunctionType) and "__wrapped__" in vars(value):
            continue
        where = f"{owner.__module__}.{owner.__qualname__}" if is_class else owner.__name__
        yield where, Change(owner, name, value)
    looked_at: set[int] = set()
    for module in inside.values():
        for name, value in list(variables_of(module).items()):
            if is_instance(value, type) and value.__module__ == module.__name__:
                for owner in value.__mro__:
                    if id(owner) not in looked_at:
                        looked_at.add(id(owner))
                        yield from _patches_of(owner, is_synthesised)
            is_function = is_instance(value, types.FunctionType)
            if any(
                value.__globals__ is script.variables
                if is_function
                else is_instance(value, type) and value.__module__ == script.name
                for script in scripts
            ):
                yield module.__name__, Change(module, name, value)


def find_held(
    module: types.ModuleType, script: Script
) -> Iterator[tuple[tuple[str, str], tuple[Holder, object, object]]]:
    """Yield the classes and functions of the script that containers of a module hold, and where.

    Whatever put them there, a loop or a function of the script, does not run again.
    """
    for path, container in _containers_of(module):
        if is_globals(container):
            continue
        if type(container) is dict:
            entries = list(container.items())
        else:
            # A set has the order of addresses, which is another in each process.
            ordered = sorted(container, key=_name_of) if type(container) is set else container
            entries = [(None, value) for value in ordered]
        for number, (key, value) in enumerate(entries):
            parts = value if type(value) is tuple else (value,)
            if any(map(script.owns, parts)) and not any(map(script.decorates, parts)):
                place = (f"{module.__name__}.{path}", repr(key) if key is not None else str(number))
                yield place, (Holder(module.__name__, path), key, value)


def _name_of(value: object) -> tuple[str, ...]:
    """Return the qualified names of a class or function, or of those in a tuple."""
    parts = value if type(value) is tuple else (value,)
    return tuple(str(getattr(part, "__qualname__", "")) for part in parts)


def _containers_of(
    module: types.ModuleType,
) -> Iterator[tuple[str, dict[object, object] | list[object] | set[object]]]:
    """Yield the dictionaries, lists and sets in a module's globals, classes and objects of its classes."""
    for name, value in list(variables_of(module).items()):
        if name.startswith("__"):
            continue
        yield from ((name, value),) if type(value) in (dict, list, set) else ()
        own = value if isinstance(value, type) else type(value)
        if own.__module__ == module.__name__ and not issubclass(own, types.ModuleType):
            try:
                attributes = dict(object.__getattribute__(value, "__dict__"))
            except AttributeError:
                continue
            for attribute, held in attributes.items():
                if type(held) in (dict, list, set) and not attribute.startswith("__"):
                    yield f"{name}.{attribute}", held
