"""Where a class or function lives: the module and name by which an import finds it again."""

from __future__ import annotations

import importlib.machinery
import pathlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from wardian.domain.live_names import is_live, original_name
from wardian.domain.modules import ModuleKind, is_stdlib
from wardian.domain.names import ModuleName, is_module_name, top_level
from wardian.environment import modules as environment
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module, is_instance, is_module, known_attribute, variables_of

__all__ = [
    "CAPTURED",
    "OWN_PATH",
    "find_path_in",
    "import_as",
    "importable",
    "is_at",
    "is_bound_by_import",
    "is_captured",
    "is_copy",
    "is_globals",
    "is_importable",
    "look_up",
    "portable_module",
    "public_name",
    "public_name_of_class",
]

CAPTURED = "captured"
"""The package of synthesised modules."""

_PORTABLE = {
    "posix": "os",
    "nt": "os",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "pathlib._local": "pathlib",
    "asyncio.unix_events": "asyncio",
    "asyncio.windows_events": "asyncio",
}
"""Modules of a platform, or of some versions of Python, and those that have their names on all."""

OWN_PATH = ("pathlib", type(pathlib.Path()).__name__)
"""Name of the class of paths on this platform, which another one has and cannot make an instance of."""

_ALIASES = (
    ("selectors", "DefaultSelector"),
    ("asyncio", "SelectorEventLoop"),
    ("asyncio", "DefaultEventLoopPolicy"),
)
"""Names of what is another class on each platform."""

_SCRIPT = ("__main__", "__mp_main__")
"""Names of the script that runs, which in another process is another."""

_PUBLIC = (
    "torch",
    "torch.nn.functional",
    "torch.linalg",
    "torch.special",
    "torch.fft",
    "torch.sparse",
    "torch.nested",
    "math",
    "operator",
    "builtins",
)
"""Where built-in functions of PyTorch and Python have their public names."""


def look_up(module: str, path: str) -> Any:
    """Return what a loaded module has under a dotted path.

    Raises:
        AttributeError: if it has nothing there.
    """
    found: Any = sys.modules.get(module)
    if found is None:
        raise AttributeError(module)
    for part in path.split("."):
        if part == "<locals>":
            raise AttributeError(part)
        found = getattr(found, part)
    return found


def is_captured(name: str) -> bool:
    """Tell whether *name*, of a module of a case, is that of a synthesised one: it is made anew.

    >>> is_captured("captured.main"), is_captured("captured_2"), is_captured("torchvision")
    (True, True, False)
    """
    return top_level(name).rstrip("_0123456789") == CAPTURED


def is_importable(module: str | None) -> bool:
    """Tell whether an import in another process finds the very module that is loaded under this name."""
    if not module or module in _SCRIPT or module not in sys.modules:
        return False
    if not is_module_name(module):  # `<run_path>`, of runpy
        return False
    if is_live(module) and is_captured(original_name(module)):
        return False
    if is_live(module) or module == "builtins":
        return True
    known = _importable.get(module)
    if known is None or known[0] is not sys.modules[module]:
        loaded = sys.modules[module]
        found = find_module(ModuleName(module), Distributions.current()).kind is not ModuleKind.MISSING
        if known_attribute(loaded, "__spec__") is None and known_attribute(loaded, "__file__") is not None:
            # No import made it: `runpy.run_path("train.py", run_name="trained")`.
            found = environment.is_importable(ModuleName(module))
        known = _importable[module] = (loaded, found)
    return known[1]


_importable: dict[str, tuple[Any, bool]] = {}
"""Module name → the loaded module, held, and the answer."""


def is_copy(module: types.ModuleType) -> bool:
    """Tell whether an import finds what *module* is a copy or a part of, if not *module*.

    Compiled modules make modules below them, packed code has its own version of some, and whatever was
    imported anew was there before.
    """
    name, file = module.__name__, getattr(module, "__file__", None)
    known = sys.modules.get(name)
    if name in _SCRIPT or known is module:
        return False
    if file is None:
        return is_stdlib(ModuleName(name)) or is_importable(name.rpartition(".")[0])
    compiled: bool = file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))
    return compiled or file == getattr(known, "__file__", None)


def importable(obj: object) -> tuple[str, str] | None:
    """Return the module and qualified name that an import of *obj* takes, or None if none leads to it."""
    module, qualname = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or not is_importable(module):
        return None
    if top_level(module) in ("asyncio", "selectors"):
        alias = next((place for place in _ALIASES if is_at(*place, obj)), None)
        if alias is not None:
            return alias
    own = _own_name(module)
    if own in _PORTABLE and is_at(portable_module(own), qualname, obj):
        return portable_module(own), qualname
    try:
        if look_up(module, qualname) is obj:
            return own, qualname
    except AttributeError:
        pass
    path = find_path_in(variables_of(sys.modules[module]), obj)
    return None if path is None else (own, path)


def portable_module(name: str) -> str:
    """Return the name by which every platform has a module, that of the module itself if none is known.

    What is meant by `os.path` is that of the platform; here it is called `posixpath`.

    >>> import os
    >>> portable_module(os.path.__name__)
    'os.path'
    """
    portable = _PORTABLE.get(name)
    return portable if portable is not None and portable in sys.modules else name


def _own_name(module: str) -> str:
    """Return the name by which an import finds a loaded module that is in `sys.modules` by another name, too.

    So that old pickles load: `sys.modules["models"] = vision.nets`, which no other process has done.
    """
    found = sys.modules[module]
    own = getattr(known_attribute(found, "__spec__"), "name", None)
    return own if isinstance(own, str) and own != module and sys.modules.get(own) is found else module


def is_globals(value: object) -> bool:
    """Tell whether *value* is the dictionary of a module or script, which registers nothing.

    A shell keeps that of its notebook.
    """
    return isinstance(value, dict) and {"__name__", "__builtins__"} <= dict.keys(value)


def is_at(module: str, path: str, obj: object) -> bool:
    """Tell whether a loaded module has *obj* under a dotted path."""
    try:
        return look_up(module, path) is obj
    except AttributeError:
        return False


def import_as(module: str, name: str, member: str | None = None) -> str:
    """Return the statement that binds *name* to a module, or to a member of it.

    >>> import_as("lib.net", "namespace", "__dict__")
    'from lib.net import __dict__ as namespace'
    >>> import_as("dynamic.5ad9.net", "Net", "Net")
    "Net = __import__('importlib').import_module('dynamic.5ad9.net').Net"
    """
    if not all(part.isidentifier() for part in module.split(".")):  # which no statement can name
        found = f"{name} = __import__('importlib').import_module({module!r})"
        return found if member is None else f"{found}.{member}"
    what = f"import {module}" if member is None else f"from {module} import {member}"
    return what if name == (member or module) else f"{what} as {name}"


def is_bound_by_import(module: types.ModuleType, depth: int) -> bool:
    """Tell whether `import a.b as c` binds *module*: it takes what the packages have under its name.

    That may be a class: `from .Net import Net` in a package puts one in the place of the module.

    Args:
        module: A loaded module.
        depth: How many packages the statement names before it.
    """
    name = module.__name__
    for _ in range(depth):
        parent, _, last = name.rpartition(".")
        if known_attribute(sys.modules.get(parent), last) is not sys.modules.get(name):
            return False
        name = parent
    return True


def find_path_in(namespace: Mapping[str, object], obj: object) -> str | None:
    """Return the path by which a module's dictionary leads to *obj*: `name`, or `Class.name`.

    >>> find_path_in({"act": len}, len)
    'act'
    """
    for name, value in list(namespace.items()):
        if value is obj and name.isidentifier():
            return name
    for name, value in list(namespace.items()):
        if is_instance(value, type) and value.__module__ == namespace.get("__name__") and name.isidentifier():
            for path, inner in _members(value, name, 0):
                if inner is obj:
                    return path
    return None


def _members(cls: type, path: str, depth: int) -> Iterator[tuple[str, object]]:
    for name, value in list(vars(cls).items()):
        if not name.isidentifier():
            continue
        if isinstance(value, staticmethod):
            yield f"{path}.{name}", value.__func__
        elif isinstance(value, types.FunctionType):
            yield f"{path}.{name}", value
        elif isinstance(value, type) and depth < 3 and _is_member(value, name, cls):
            yield f"{path}.{name}", value
            yield from _members(value, f"{path}.{name}", depth + 1)


def _is_member(value: type, name: str, cls: type) -> bool:
    """Tell whether a class belongs to the one that has it: by its name, or made by a call in its body.

    `Step = namedtuple("Step", "x y")` knows the module, and not the class whose body it stands in.
    """
    is_made_by_call = (value.__module__, value.__qualname__) == (cls.__module__, name)
    return is_made_by_call or value.__qualname__.startswith(f"{cls.__qualname__}.")


def public_name(obj: object) -> tuple[str, str] | None:
    """Return the public name of a built-in function, method descriptor or the like; None if it has none.

    >>> import math
    >>> public_name(math.sin)
    ('math', 'sin')
    """
    name = getattr(obj, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        return None
    owner = getattr(obj, "__objclass__", None)
    if isinstance(owner, type) and vars(owner).get(name) is obj:
        if is_at("torch", f"Tensor.{name}", obj):
            return "torch", f"Tensor.{name}"
        found = public_name_of_class(owner)
        return None if found is None else (found[0], f"{found[1]}.{name}")
    module = getattr(obj, "__module__", None)
    own = [module] if isinstance(module, str) else []
    private = any(part.startswith("_") for part in (module or "").split("."))
    for place in (*_PUBLIC,) if private else (*map(portable_module, own), *own, *_PUBLIC):
        if is_at(place, name, obj):
            return place, name
    return _search(obj, name) or next(((m, name) for m in own if is_at(m, name, obj)), None)


def public_name_of_class(cls: type) -> tuple[str, str] | None:
    """Return where a class is found, a class of C code under its public name included."""
    found = importable(cls)
    if found is not None:
        return found
    for name in _PUBLIC:
        if name in sys.modules and variables_of(sys.modules[name]).get(cls.__name__) is cls:
            return name, cls.__name__
    for name in ("types", "functools", "collections"):
        for key, value in variables_of(sys.modules[name]).items():
            if value is cls and not key.startswith("_"):
                return name, key
    return None


def _search(obj: object, name: str) -> tuple[str, str] | None:
    """Look through all modules for the name, or what is left of it without theirs (`linalg_vector_norm`)."""
    candidates = [
        (module_name, key)
        for module_name, module in sys.modules.copy().items()
        if is_module(module) and not is_live(module_name)
        for key in (name, name.removeprefix(module_name.rpartition(".")[2] + "_"))
        if variables_of(module).get(key) is obj and is_importable(module_name)
    ]
    # Public before private, short before long, and then by name: the same in every process.
    return min(candidates, key=lambda c: ("._" in f".{c[0]}", c[0].count("."), c), default=None)
