"""Whether anything but an open case itself holds what was imported from it.

Packed modules are ordinary modules: `sys.modules` holds them, also when nobody needs them any more. Here
references are counted, as the collector counts those of garbage: of the objects that are reached from the
modules, those with more references than come from among them are in use, and so is what they lead to.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterable
from typing import Any

from wardian.domain.live_names import is_live
from wardian.environment.modules import variables_of

__all__ = ["find_holder"]

_MOST_OBJECTS = 500_000
"""Where more is reached, it is taken to be in use."""


def find_holder(objects: list[object], prefix: str, tables: Iterable[object]) -> object:
    """Return that by which something else holds *objects*, or a module, class or function of theirs.

    Args:
        objects: Where to begin; emptied, since what holds them counts.
        prefix: Begins the names of the modules in question. What is of others is not looked into.
        tables: Dictionaries whose references do not count.

    Returns:
        An object that has references from elsewhere, and leads to these; None if there is none, so that
        nothing needs any of it. If there are very many, any of them.
    """
    reached: dict[int, object] = {}
    own: set[int] = set()
    inside: dict[int, int] = {}  # references from what was reached
    leads: dict[int, list[int]] = {}
    queue: list[int] = []
    while objects:
        key = id(objects[-1])
        reached[key] = objects.pop()
        own.add(key)
        queue.append(key)
    while queue:
        if len(reached) > _MOST_OBJECTS:
            return next(iter(reached.values()))
        key = queue.pop()
        to = leads[key] = []
        for other in gc.get_referents(reached[key]):
            to.append(id(other))
            if id(other) not in reached and gc.is_tracked(other):
                whose = _module_of(other)
                is_own = whose is not None and f"{whose}.".startswith(prefix)
                # A decorator's function leads to what it decorates.
                if is_own or whose is None or type(other) is types.FunctionType:
                    reached[id(other)] = other
                    queue.append(id(other))
                if is_own:
                    own.add(id(other))
            inside[id(other)] = inside.get(id(other), 0) + 1
        other = None
    for table in tables:
        for other in gc.get_referents(table):
            inside[id(other)] = inside.get(id(other), 0) + 1
        other = None
    # Two references are from here: that of `reached`, and the argument.
    outside = [key for key in list(reached) if sys.getrefcount(reached[key]) - 2 > inside.get(key, 0)]
    held = [(key, key) for key in outside]  # with that by which it is held
    seen = set(outside)
    while held:
        key, first = held.pop()
        if key in own:
            return reached[first]
        new = {other for other in leads[key] if other in reached} - seen
        seen |= new
        held += [(other, first) for other in new]
    return None


def _module_of(obj: Any) -> str | None:
    """Return the name of the module that is, or has, an object; None of one that may be anybody's."""
    kind = type(obj)
    if issubclass(kind, type):
        module = type.__getattribute__(obj, "__dict__").get("__module__")
    elif kind is types.FunctionType:
        module = obj.__globals__.get("__name__")
    elif issubclass(kind, types.ModuleType):
        module = types.ModuleType.__getattribute__(obj, "__dict__").get("__name__")
    elif kind is dict and "__name__" in obj and "__spec__" in obj:  # the globals of a module, or a copy
        module = obj["__name__"]
        known = sys.modules.get(module) if isinstance(module, str) else None
        if variables_of(known) is not obj and not is_live(module):
            return None
    else:
        return "" if kind is types.FrameType else None
    return module if isinstance(module, str) else ""
