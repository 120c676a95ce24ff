"""Where code has its place in a case: which synthesised module it becomes part of, and its name there."""

from __future__ import annotations

import functools
import gc
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

from wardian.capture import runtime
from wardian.capture.definitions import Piece
from wardian.capture.effects import Effects
from wardian.capture.homes import CAPTURED, find_path_in, is_at, is_captured, is_copy, is_importable
from wardian.capture.namespaces import Namespace
from wardian.capture.naming import Global, Names
from wardian.capture.synthesis import CapturedModule, Home, module_of_home, module_of_namespace
from wardian.domain.live_names import is_live, original_name
from wardian.domain.names import ModuleName, top_level
from wardian.environment.modules import variables_of

__all__ = ["Places", "is_of_script"]


class Places:
    """The synthesised modules of one case.

    Args:
        names: Names of modules and globals.
        effects: What loading does beside making the object.
    """

    def __init__(self, names: Names, effects: Effects) -> None:
        self._names, self._effects = names, effects
        self._namespaces: dict[int, Namespace] = {}
        self._homes: dict[str, Home] = {}
        self._live: dict[tuple[str, str], Any] = {}

    def __iter__(self) -> Iterator[Namespace]:
        """Yield what scripts become, in the order in which they were met."""
        yield from self._namespaces.values()

    # Namespaces of scripts

    def namespace_of(self, variables: dict[str, Any]) -> Namespace | None:
        """Return the namespace of these globals; None if they are those of an importable module."""
        name = variables.get("__name__")
        if isinstance(name, str) and is_importable(name) and variables_of(sys.modules[name]) is variables:
            return None
        known = self._namespaces.get(id(variables))
        if known is None:
            stem = (
                "main" if name in ("__main__", "__mp_main__", None, "builtins") else original_name(str(name))
            )
            known = Namespace(
                variables,
                functools.partial(self._new_module, stem.removeprefix(f"{self._names.package}.")),
                self._effects,
                self._names.rename,
                self.module_of,
                number=len(self._namespaces),
            )
            # It holds the variables: were they freed, the next could get their id.
            self._namespaces[id(variables)] = known
        return known

    def namespace_named(self, name: str | None, obj: Any) -> Namespace | None:
        """Return the namespace of this name in which *obj* was made; None if it is an importable module."""
        if name is not None and name != "builtins":
            if is_importable(name):
                return None
            if variables := variables_of(sys.modules.get(name)):
                return self.namespace_of(variables)
        for known in self:
            if known.script.name == name:
                return known
        # Source that was executed in a dictionary: the dictionary holds what it defined.
        for holder in gc.get_referrers(obj):
            if isinstance(holder, dict) and holder.get("__name__") == name and "__builtins__" in holder:
                return self.namespace_of(holder)
        return self.namespace_of({"__name__": name or CAPTURED})

    def namespace_of_class(self, cls: type) -> Namespace | None:
        """Return the namespace in which a class was made; None if it is an importable module."""
        if is_at(cls.__module__, cls.__qualname__, cls):
            return self.namespace_named(cls.__module__, cls)
        # Methods that a decorator wrote, as those of attrs, may have a copy of the globals of the time.
        for member in vars(cls).values():
            if (
                isinstance(member, types.FunctionType)
                and member.__qualname__.startswith(cls.__qualname__)
                and member.__globals__.get("__name__") == cls.__module__
            ):
                return self.namespace_of(member.__globals__)
        return self.namespace_named(cls.__module__, cls)

    def script(self) -> Namespace | None:
        """Return the namespace of the script or notebook that runs; None if it is an importable module."""
        return self.namespace_of(variables_of(sys.modules["__main__"]))

    def scripts(self) -> Iterator[Namespace]:
        """Yield the namespaces of the script that runs, and of those that open cases were packed by."""
        modules = [sys.modules["__main__"]]
        modules += [
            module
            for name, module in sys.modules.copy().items()
            if is_of_script(name) and name.count(".") > 3
        ]
        yield from filter(None, (self.namespace_of(variables_of(module)) for module in modules))

    def is_synthesised(self, variables: dict[str, Any]) -> bool:
        """Tell whether functions with these globals are of code that no import leads to."""
        return "__name__" in variables and self.namespace_of(variables) is not None

    def module_of(self, module: types.ModuleType) -> ModuleName | None:
        """Return the synthesised module that stands for *module*; None if an import finds *module*.

        `importlib.util.module_from_spec` makes a module that only its maker knows, and so does
        `types.ModuleType`. Whoever holds it may use all of it.
        """
        if type(module) is not types.ModuleType or is_copy(module):
            return None
        namespace = self.namespace_of(variables_of(module))
        if namespace is None:
            return None
        namespace.require_all()
        return namespace.module

    # Names of what is in them

    def name_in(self, namespace: Namespace, obj: Any) -> Global | None:
        """Return the name by which a namespace leads to *obj*, which is then taken; None if it does not."""
        path = namespace.script.path_of(obj)
        if path is None or not namespace.script.shows(path, obj):
            return None
        top = top_level(path)
        namespace.require(top)
        if top not in namespace.definitions:
            return None
        self._live[namespace.module, path] = obj
        return self._names.named(namespace.module, path)

    def global_in(self, variables: dict[str, Any], obj: Any) -> Any:
        """Return the name of what is a global among *variables*, NotImplemented if it is none."""
        namespace = self.namespace_of(variables)
        if namespace is not None:
            return self.name_in(namespace, obj) or NotImplemented
        path = find_path_in(variables, obj)
        if path is None:
            return NotImplemented
        return self._names.named(self._names.rename(variables["__name__"]), path)

    def find_live(self, module: str, qualname: str) -> Any:
        """Return the live object of a synthesised name.

        Raises:
            AttributeError: if there is none.
        """
        if (module, qualname) in self._live:
            return self._live[module, qualname]
        for namespace in self:
            if namespace.is_named and namespace.module == module:
                found: Any = namespace.variables.get(qualname.partition(".")[0])
                for part in qualname.split(".")[1:]:
                    found = getattr(found, part)
                return found
        raise AttributeError(f"{module}.{qualname}")

    # Modules

    def home_of(self, name: ModuleName) -> Home:
        """Return the synthesised module of what was made inside functions of an importable module."""
        if name not in self._homes:
            self._homes[name] = Home(name, self._new_module(name))
        return self._homes[name]

    def maker_in(self, home: Namespace | Home, function: str) -> Global:
        """Return what makes classes, or functions of bytecode, with the globals of *home*."""
        self._names.uses_runtime = True
        name = f"captured_{function}"
        expression = "globals()" if isinstance(home, Namespace) else "namespace"
        lines = f"from {self._names.package} import {function}\n\n{name} = {function}({expression})\n"
        home.factories.setdefault(name, Piece(lines, "", 0))
        return self._names.named(home.module, name)

    def _new_module(self, stem: str) -> ModuleName:
        package = self._names.package
        clean = re.sub(r"\W", "_", stem)
        taken = {namespace.module for namespace in self if namespace.is_named}
        taken |= {home.module for home in self._homes.values()}
        # A submodule becomes an attribute of its package: `captured.abc` would take the place of `abc` there.
        taken |= {ModuleName(f"{package}.{name}") for name in vars(runtime)}
        number = 1
        while True:
            name = ModuleName(f"{package}.{clean}{'' if number == 1 else f'_{number}'}")
            if name not in taken:
                return name
            number += 1

    def modules_used(self) -> set[str]:
        """Return the names of the modules that what is taken of scripts uses."""
        return {name for namespace in self for name in namespace.modules_used()}

    def modules(self) -> list[CapturedModule]:
        """Return the synthesised modules that there are."""
        package = self._names.package
        made = [module_of_home(home, package) for home in self._homes.values()]
        return made + [m for n in self if (m := module_of_namespace(n, package)) is not None]


def is_of_script(module: str) -> bool:
    """Tell whether a module of an open case, by its full name, was made of code that no import leads to."""
    return is_live(module) and is_captured(original_name(module))
