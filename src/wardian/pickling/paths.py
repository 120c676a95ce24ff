"""Where an object is inside another, as the expression a user would write."""

from __future__ import annotations

import types
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

__all__ = ["find_path", "find_places", "find_texts", "find_type_paths"]

_LEAVES = (str, bytes, int, float, complex, bool, type(None), type, types.FunctionType, types.ModuleType)
_MAX_OBJECTS = 200_000
"""Objects looked at before a search gives up; a path is a help, not a promise."""

_TORCH_TABLES = ("_modules", "_parameters", "_buffers")
"""Tables of `torch.nn.Module` whose items are read as attributes of the module."""


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, Mapping):
        for key, value in obj.items():
            yield f"[{key!r}]", value
            if not isinstance(key, str):
                yield f".key({key!r:.40})", key
    elif isinstance(obj, list | tuple):
        for index, value in enumerate(obj):
            yield f"[{index}]", value
    elif isinstance(obj, set | frozenset):
        for value in obj:
            yield f".item({value!r:.40})", value
    if isinstance(obj, types.MethodType):
        yield ".__self__", obj.__self__
        yield ".__func__", obj.__func__
    if isinstance(obj, weakref.ref):
        yield "()", obj()
    for attribute in ("func", "args", "keywords") if type(obj).__name__ == "partial" else ():
        yield f".{attribute}", getattr(obj, attribute)
    try:
        attributes = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        attributes = None
    if isinstance(attributes, dict):
        for name, value in attributes.items():
            if name in _TORCH_TABLES and isinstance(value, dict):
                for child, item in value.items():
                    yield (f"[{child}]" if str(child).isdigit() else f".{child}"), item
            else:
                yield f".{name}", value
    for cls in type(obj).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(name, str) and hasattr(obj, name):
                yield f".{name}", getattr(obj, name)


_HOLDERS = (Mapping, list, tuple, set, frozenset, types.MethodType, weakref.ref)


def _holds_nothing(kind: type) -> bool:
    """Tell whether `_children` finds nothing in any instance of a class, as in arrays."""
    return (
        not issubclass(kind, _HOLDERS)
        and kind.__dictoffset__ == 0
        and not any("__slots__" in vars(cls) or "__class__" in vars(cls) for cls in kind.__mro__[:-1])
        and kind.__getattribute__ is object.__getattribute__  # proxies have one of their own
    )


def _walk(root: Any, name: str) -> Iterator[tuple[str, Any]]:
    # Breadth first, so that the shortest path is found. Seen objects are held, so that no id is used twice.
    seen: dict[int, Any] = {id(root): root}
    empty: dict[type, bool] = {}
    queue = deque([(name, root)])
    while queue and len(seen) < _MAX_OBJECTS:
        path, obj = queue.popleft()
        try:
            is_leaf = isinstance(obj, _LEAVES)
        except Exception:  # noqa: BLE001, S112  a proxy of what is gone; a `__class__` of the user's that raises
            continue
        yield path, obj
        if is_leaf:
            continue
        try:
            kind = type(obj)
            if kind not in empty:
                empty[kind] = _holds_nothing(kind)
            if empty[kind]:
                continue
            for step, child in _children(obj):
                if id(child) not in seen:
                    seen[id(child)] = child
                    queue.append((path + step, child))
        except Exception:  # noqa: BLE001, S112  a property or __getattr__ of the user's; only a path is lost
            continue


def find_path(root: Any, target: Any, name: str, *, instance: bool = False) -> str | None:
    """Return where *target* is inside *root*, or None if it is not found.

    Args:
        root: Where to look.
        target: What to look for.
        name: What to call *root*.
        instance: Look for the first instance of *target*, a class.

    >>> find_path({"hooks": [len]}, len, "model")
    "model['hooks'][0]"
    """
    return next((path for path, obj in _walk(root, name) if (type(obj) if instance else obj) is target), None)


def find_texts(root: Any, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield where texts and bytes are inside *root*, and what they are, keys of dictionaries included."""
    for path, obj in _walk(root, name):
        for key in _keys(obj):
            if isinstance(key, str):
                yield f"a key of {path}", key.encode("utf-8", "replace")
        if isinstance(obj, str):
            yield path, obj.encode("utf-8", "replace")
        elif isinstance(obj, bytes):
            yield path, obj


def _keys(obj: Any) -> list[Any]:
    try:
        return list(obj) if isinstance(obj, Mapping) else []
    except Exception:  # noqa: BLE001  a mapping of the user's that cannot be gone through
        return []


def find_type_paths(
    root: Any, name: str, wanted: set[tuple[str, str]], rename: Callable[[str], str] = str
) -> dict[tuple[str, str], str]:
    """Return for classes and functions where the first object of each is inside *root*.

    Args:
        root: Where to look.
        name: What to call it.
        wanted: (module, qualified name) pairs.
        rename: Maps the module of a class to the name it has in *wanted*.
    """
    found: dict[tuple[str, str], str] = {}
    looked_at: set[type] = set()
    for path, obj in _walk(root, name) if wanted else ():
        if isinstance(obj, type | types.FunctionType):
            named: Any = obj
        else:
            named = type(obj)
            if named in looked_at:
                continue
            looked_at.add(named)
        key = _key_of(named, rename)
        if key in wanted and key not in found:
            found[key] = path
            if len(found) == len(wanted):
                break
    return found


def find_places(
    root: Any, name: str, wanted: Collection[tuple[str, str]], rename: Callable[[str], str] = str
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return for classes and functions where each object of them is inside *root*, the nearest first.

    Args:
        root: Where to look.
        name: What to call it.
        wanted: (module, qualified name) pairs.
        rename: Maps the module of a class to the name it has in *wanted*.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for path, obj in _walk(root, name) if wanted else ():
        key = _key_of(obj if isinstance(obj, type | types.FunctionType) else type(obj), rename)
        if key in wanted:
            found.setdefault(key, []).append(path)
    return {key: tuple(paths) for key, paths in found.items()}


def _key_of(named: Any, rename: Callable[[str], str]) -> tuple[str, str]:
    return rename(getattr(named, "__module__", None) or ""), named.__qualname__
