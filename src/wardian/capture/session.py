"""What the pickler asks about code that has no importable home."""

from __future__ import annotations

import dis
import functools
import gc
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

from wardian.capture import runtime
from wardian.capture.changed import find_changed_modules
from wardian.capture.classes import recipe_for, subscription_of
from wardian.capture.factories import factory_source
from wardian.capture.homes import (
    CAPTURED,
    find_path_in,
    importable,
    is_at,
    is_captured,
    is_copy,
    is_importable,
    public_name_of_class,
)
from wardian.capture.kinds import answer_for
from wardian.capture.namespaces import ClosureOf, Namespace, Piece
from wardian.capture.patches import Change, Holder, find_changes, find_held, find_patches
from wardian.capture.synthesis import SET, CapturedModule, Home, module_of_home, module_of_namespace
from wardian.capture.tables import TableEntry, find_entries
from wardian.capture.texts import find_function, first_line
from wardian.capture.usage import find_usage
from wardian.environment import variables_of
from wardian.names import LIVE_PREFIX, ModuleName, original_name
from wardian.rewrite import dump_code

__all__ = ["Capture", "Global"]


@dataclass(frozen=True, slots=True)
class Global:
    """Stands for a global of a case in what a pickler is given."""

    module: str
    qualname: str

    def __call__(self) -> None:
        """Do nothing: a pickler only wants to see that it could be called."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """Stands for the result of a call in what a pickler is given."""

    function: Any
    arguments: tuple[Any, ...]


_CHANGES = ModuleName("")
"""Stands for the module where one is asked for, of what is changed in modules that are imported."""


class Capture:
    """Answers the pickler for one case, and collects the modules that must be synthesised.

    Args:
        rename: Returns the name that a module has in the case, and may note that it is needed there.
    """

    def __init__(self, rename: Callable[[str], ModuleName] = original_name) -> None:
        self.rename = rename
        self.package = _free_name()
        self._namespaces: dict[int, Namespace] = {}
        self._homes: dict[str, Home] = {}
        self._known: dict[int, tuple[Any, Any]] = {}
        self._made: list[type] = []
        """Classes that are made again by a recipe."""
        self._globals: dict[tuple[str, str], Global] = {}
        self._set: set[tuple[ModuleName, str]] = set()
        self._live: dict[tuple[str, str], Any] = {}
        self._tried: set[tuple[ModuleName, str]] = set()
        self._trying: set[int] = set()
        self._fails: Callable[[Any], str | None] = _never
        self._beforehand: tuple[Any, ...] = ()
        self._entries: tuple[TableEntry, ...] = ()
        self._attributes: dict[tuple[int, str], _Call] = {}
        self._changes: dict[tuple[str, str], Change] = {}
        """What is changed in modules that are imported, by (module or class, name)."""
        self._unchanged: dict[str, str] = {}
        """Changes that could not be taken, with the reason."""
        self._unhooked: dict[int, tuple[Any, str]] = {}
        """Tensors, held, that lose their hooks, by id, and why."""
        self._lost: dict[str, None] = {}
        """What is not in the case and should be, as sentences."""
        self._ended: dict[str, None] = {}
        """What does not go on in the case, as sentences."""
        self.bytecode: set[str] = set()
        """Functions without source, which only this Python can run."""
        self._uses_runtime = False
        self._changed = tuple(find_changed_modules())
        # Whatever stands there now: a shell or a test runner has its own.
        names = ("__stdin__", "__stdout__", "__stderr__", "stdin", "stdout", "stderr")
        self.streams = {id(stream): name for name in names if (stream := getattr(sys, name)) is not None}
        self.stream_kinds = {type(getattr(sys, name)) for name in names}
        self.left_to_python: set[type] = set()
        """Classes of whose instances Python pickles each rightly; they need not be asked for again."""

    # The pickler's questions

    def reduce(self, obj: Any) -> Any:
        """Return what the pickler is to write for *obj*: a `Global`, a reduce tuple, or NotImplemented."""
        kind = type(obj)
        if kind is Global:
            return obj
        if kind is _Call:
            return obj.function, obj.arguments
        if kind is types.FunctionType or isinstance(obj, type):
            known = self._known.get(id(obj))
            if known is None:
                answer = self._function(obj) if kind is types.FunctionType else self._class(obj)
                # The object is held: were it freed, the next one could get its id.
                known = self._known[id(obj)] = (obj, answer)
            return known[1]
        return answer_for(self, obj)

    def named(self, module: str, qualname: str) -> Global:
        """Return the one object that stands for a global."""
        return self._globals.setdefault((module, qualname), Global(module, qualname))

    def helper(self, name: str) -> Global:
        """Return the name of a function of `wardian.capture.runtime`, which the case then has."""
        self._uses_runtime = True
        return self.named(self.package, name)

    def global_in(self, variables: dict[str, Any], obj: Any) -> Any:
        """Return the name of what is a global among *variables*."""
        namespace = self._namespace(variables)
        if namespace is not None:
            return self._in_namespace(namespace, obj) or NotImplemented
        path = find_path_in(variables, obj)
        return NotImplemented if path is None else self.named(self.rename(variables["__name__"]), path)

    def in_globals(self, variables: dict[str, Any], obj: Any) -> Global | None:
        """Return the synthesised name of a global among *variables*, None if it has none."""
        namespace = self._namespace(variables)
        return None if namespace is None else self._in_namespace(namespace, obj)

    def in_script(self, obj: Any) -> Global | None:
        """Return the synthesised name of a global of the script that runs, None if it has none."""
        return self.in_globals(variables_of(sys.modules["__main__"]), obj)

    def in_module(self, name: str | None, obj: Any) -> Global | None:
        """Return the synthesised name of a global of the module of this name, None if it has none."""
        namespace = self._namespace_named(name, obj)
        return None if namespace is None else self._in_namespace(namespace, obj)

    def module_of(self, module: types.ModuleType) -> ModuleName | None:
        """Return the synthesised module that stands for *module*; None if an import finds *module*.

        `importlib.util.module_from_spec` makes a module that only its maker knows, and so does
        `types.ModuleType`. Whoever holds it may use all of it.
        """
        if type(module) is not types.ModuleType or is_copy(module):
            return None
        namespace = self._namespace(variables_of(module))
        if namespace is None:
            return None
        namespace.require_all()
        return namespace.module

    def require_operators(self, namespace: str) -> None:
        """Take what the script does to operators of a namespace of `torch.ops`."""
        script = self.script()
        if script is not None:
            script.require_operators(namespace)

    def note_ended(self, what: str) -> None:
        """Note what goes on here and not in the case.

        Args:
            what: A sentence without a full stop.
        """
        self._ended[what] = None

    def note_unhooked(self, tensor: Any, why: str) -> None:
        """Note a tensor that loses its hooks."""
        self._unhooked[id(tensor)] = tensor, why

    def name_lost(self, find_path: Callable[[Any], str]) -> None:
        """Say where what was noted is in the object.

        Args:
            find_path: Returns where something is.
        """
        for tensor, why in self._unhooked.values():
            self._lost[
                f"{find_path(tensor)} loses its hooks in the case, because they cannot be packed: {why}"
            ] = None
        self._unhooked.clear()

    def why_not(self, value: Any) -> str | None:
        """Return why *value* cannot be pickled, None if it can."""
        return self._fails(value)

    def _is_synthesised(self, variables: dict[str, Any]) -> bool:
        """Tell whether functions with these globals are of code that no import leads to."""
        return "__name__" in variables and self._namespace(variables) is not None

    def _note_change(self, owner: str, change: Change) -> None:
        if f"{owner}.{change.name}" not in self._unchanged:
            self._changes.setdefault((owner, change.name), change)

    def _class(self, cls: type) -> Any:
        subscription = subscription_of(cls)
        if subscription is not None:
            return self.named("operator", "getitem"), subscription
        found = importable(cls)
        if found is not None:
            for where, change in find_patches(cls, self._is_synthesised):
                self._note_change(where, change)
            plain = found == (cls.__module__, cls.__qualname__)
            return NotImplemented if plain else self.named(self.rename(found[0]), found[1])
        found = public_name_of_class(cls)
        if found is not None:
            return self.named(*found)
        namespace = self._namespace_of_class(cls)
        if namespace is not None:
            known = self._in_namespace(namespace, cls)
            if known is not None:
                return known
            home: Namespace | Home = namespace
        else:
            home = self._home(self.rename(cls.__module__))
        recipe = recipe_for(cls)
        members = {name: value for name, value in recipe.members.items() if self._fits(name, value)}
        make = self._maker(home, recipe.maker)
        key = f"{cls.__qualname__} {len(self._made)}"
        self._made.append(cls)
        return make, (key, *recipe.arguments), members, None, None, self.helper("finish")

    def script(self) -> Namespace | None:
        """Return the namespace of the script or notebook that runs; None if it is an importable module."""
        return self._namespace(variables_of(sys.modules["__main__"]))

    def modules_used(self) -> set[str]:
        """Return the names of the modules that what is taken of scripts uses."""
        return {name for namespace in self._namespaces.values() for name in namespace.modules_used()}

    @contextmanager
    def trying(self, fails: Callable[[Any], str | None]) -> Iterator[None]:
        """Try values, while the context lasts, by a function that returns why one cannot be pickled.

        Not for longer: the function holds the pickler's hooks, and so all that is packed, and they hold this.
        """
        self._fails = fails
        self._attributes.clear()
        try:
            yield
        finally:
            self._fails = _never

    def note_tables(self, classes: Iterable[type]) -> bool:
        """Note what tables of their libraries say of classes; return whether it is anything."""
        self._entries = tuple(find_entries(classes))
        return bool(self._entries)

    def set_afterwards(self, owner: Any, name: str, value: Any) -> None:
        """Note an attribute that can be set only when its owner, which it leads back to, is made."""
        self._attributes[id(owner), name] = _Call(setattr, (owner, name, value))

    def note_told(self, held: Iterable[Any], *, surely: bool) -> list[Global]:
        """Take the statements by which scripts told other modules of classes and functions.

        Args:
            held: Classes and functions that containers of other modules hold.
            surely: Whether nothing but a script has told of them; otherwise only what is called as if it
                did nothing else counts.

        Returns:
            What the statements give to those modules, by its names in the case: finding one executes them.
        """
        held = list(held)
        scripts = [self.script()]
        for found in held:
            module = found.__module__ if isinstance(found, type | types.FunctionType) else None
            if module is not None and module.startswith(LIVE_PREFIX):
                # Those of what was loaded.
                package = module.removesuffix(original_name(module)) + CAPTURED
                scripts += [
                    self._namespace(variables_of(sys.modules[name]))
                    for name in list(sys.modules)
                    if name == module or name.startswith(package)
                ]
        return [
            self.named(script.module, name)
            for script in dict.fromkeys(scripts)
            if script is not None
            for name in script.require_calls(held, of_any_name=surely)
        ]

    def note_texts(self, data: bytes) -> bool:
        """Note functions and classes that scripts look up by a text that the object holds.

        Args:
            data: The pickle of the object.

        Returns:
            Whether there are any that were not taken.
        """
        found = False
        for namespace in list(self._namespaces.values()):
            for name in list(namespace.variables) if namespace.looks_up else ():
                value = namespace.variables[name]
                if name in namespace.definitions or not isinstance(value, type | types.FunctionType):
                    continue
                if name.encode() in data and not name.startswith("_"):
                    namespace.require(name)
                    found = True
        return found

    def note_settings(
        self, modules: Iterable[types.ModuleType], before: Iterable[tuple[Any, str]] = ()
    ) -> bool:
        """Note what the script set in other modules, functions and classes of its own above all.

        Args:
            modules: Those that a case of the object has.
            before: What is changed because the script that the object was first packed by had set it: the
                module or class, and the name.

        Returns:
            Whether there is something of which nothing was known.
        """
        scripts = list(self._scripts())
        known = len(self._changes) + sum(len(script.repairs) for script in scripts)
        # What a script has in its own globals it did not change.
        modules = [module for module in modules if not _is_of_script(module.__name__)]
        settings = (*before, *(found for script in scripts for found in script.statements.settings()))
        for where, change in find_changes(modules, settings, scripts, self._is_synthesised):
            self._note_change(where, change)
        modules.sort(key=lambda module: original_name(module.__name__))  # whichever was imported first
        for script in scripts:
            for module in modules:
                for place, entry in find_held(module, script):
                    script.repairs.setdefault(place, entry)
        return len(self._changes) + sum(len(script.repairs) for script in scripts) > known

    def _scripts(self) -> Iterator[Namespace]:
        """Yield the namespaces of the script that runs, and of those that open cases were packed by."""
        modules = [sys.modules["__main__"]]
        modules += [
            module
            for name, module in list(sys.modules.items())
            if _is_of_script(name) and name.count(".") > 3
        ]
        yield from filter(None, (self._namespace(variables_of(module)) for module in modules))

    def _fits(self, name: str, value: Any) -> bool:
        """Tell whether a member can be given to a class; annotations that cannot be pickled are left out."""
        return name != "__annotations__" or self._can_pickle(value)

    def _can_pickle(self, value: Any) -> bool:
        """Tell whether annotations can be pickled; not, if that leads back to them."""
        if id(value) in self._trying:
            return False
        self._trying.add(id(value))
        try:
            return self._fails(value) is None
        finally:
            self._trying.discard(id(value))

    def _maker(self, home: Namespace | Home, function: str) -> Global:
        """Return what makes classes, or functions of bytecode, with the globals of *home*."""
        self._uses_runtime = True
        name = f"captured_{function}"
        expression = "globals()" if isinstance(home, Namespace) else "namespace"
        lines = f"from {self.package} import {function}\n\n{name} = {function}({expression})\n"
        home.factories.setdefault(name, Piece(lines, "", 0))
        return self.named(home.module, name)

    def _home(self, name: ModuleName) -> Home:
        if name not in self._homes:
            self._homes[name] = Home(name, self._new_module(name))
        return self._homes[name]

    def _function(self, function: types.FunctionType) -> Any:
        found = importable(function)
        if found is not None:
            plain = found == (function.__module__, function.__qualname__)
            return NotImplemented if plain else self.named(self.rename(found[0]), found[1])
        namespace = self._namespace(function.__globals__)
        if namespace is not None:
            known = self._in_namespace(namespace, function)
            if known is not None:
                return known
            inside = self._under_decorators(namespace, function)
            if inside is not None:
                return inside
        return self._local_function(function, namespace)

    def _under_decorators(self, namespace: Namespace, function: types.FunctionType) -> Any:
        """Return where a function is that the statement of a global decorates, None if it is not in one.

        Executing the statement makes it; another one would be none of those that a memo has as keys.
        """
        outer = namespace.variables.get(function.__name__)
        if function.__qualname__ != function.__name__ or not namespace.decorates(outer):
            return None
        steps = next((steps for steps, inner in _wrapped_by(outer) if inner is function), None)
        if steps is None or type(self.reduce(outer)) is not Global:
            return None
        return self.helper("inside"), (outer, steps)

    # Names of a script

    def _namespace_of_class(self, cls: type) -> Namespace | None:
        if is_at(cls.__module__, cls.__qualname__, cls):
            return self._namespace_named(cls.__module__, cls)
        # Methods that a decorator wrote, as those of attrs, may have a copy of the globals of the time.
        for member in vars(cls).values():
            if (
                isinstance(member, types.FunctionType)
                and member.__qualname__.startswith(cls.__qualname__)
                and member.__globals__.get("__name__") == cls.__module__
            ):
                return self._namespace(member.__globals__)
        return self._namespace_named(cls.__module__, cls)

    def _namespace_named(self, name: str | None, obj: Any) -> Namespace | None:
        """Return the namespace of this name in which *obj* was made; None if it is an importable module."""
        if name is not None and name != "builtins":
            if is_importable(name):
                return None
            if variables := variables_of(sys.modules.get(name)):
                return self._namespace(variables)
        for known in self._namespaces.values():
            if known.name == name:
                return known
        # Source that was executed in a dictionary: the dictionary holds what it defined.
        for holder in gc.get_referrers(obj):
            if isinstance(holder, dict) and holder.get("__name__") == name and "__builtins__" in holder:
                return self._namespace(holder)
        return self._namespace({"__name__": name or CAPTURED})

    def _namespace(self, variables: dict[str, Any]) -> Namespace | None:
        """Return the namespace of these globals; None if they are those of an importable module."""
        name = variables.get("__name__")
        if isinstance(name, str) and is_importable(name) and variables_of(sys.modules[name]) is variables:
            return None
        known = self._namespaces.get(id(variables))
        if known is None:
            stem = (
                "main" if name in ("__main__", "__mp_main__", None, "builtins") else original_name(str(name))
            )
            name_module = functools.partial(self._new_module, stem.removeprefix(f"{self.package}."))
            known = Namespace(variables, name_module, self.rename, self.module_of)
            self._namespaces[id(variables)] = known
        return known

    def _new_module(self, stem: str) -> ModuleName:
        clean = re.sub(r"\W", "_", stem)
        taken = {n.module for n in self._namespaces.values() if n.is_named}
        taken |= {h.module for h in self._homes.values()}
        # A submodule becomes an attribute of its package: `captured.abc` would take the place of `abc` there.
        taken |= {ModuleName(f"{self.package}.{name}") for name in vars(runtime)}
        number = 1
        while True:
            name = ModuleName(f"{self.package}.{clean}{'' if number == 1 else f'_{number}'}")
            if name not in taken:
                return name
            number += 1

    def _in_namespace(self, namespace: Namespace, obj: Any) -> Global | None:
        path = namespace.name_of(obj)
        if path is None or not namespace.shows(path, obj):
            return None
        top = path.partition(".")[0]
        namespace.require(top)
        if top not in namespace.definitions:
            return None
        self._live[namespace.module, path] = obj
        return self.named(namespace.module, path)

    # Local functions

    def _local_function(self, function: types.FunctionType, namespace: Namespace | None) -> Any:
        code = function.__code__
        home: Namespace | Home = namespace or self._home(self.rename(function.__globals__["__name__"]))
        cells = function.__closure__ or ()
        found = find_function(code)
        made_as = code.co_name
        if found is not None:
            made_as = getattr(found[1], "name", "<lambda>")
        state = self._state_of(function, made_as)
        if found is None:
            if namespace is not None:
                for used in _global_names(code):
                    namespace.require(used)
            module = original_name(function.__module__ or "<executed>")
            if namespace is not None and module == original_name(namespace.name):
                module = ModuleName(namespace.users_name)
            self.bytecode.add(f"{module}.{function.__qualname__}")
            make = self._maker(home, "code_of")
            return make, (dump_code(code), *cells), state, None, None, self.helper("restore")
        text, node = found
        expression = "globals()" if namespace is not None else "namespace"
        stem = re.sub(r"\W", "_", re.sub(r"<(\w+)>\.?", "", function.__qualname__)).strip("_") or "function"
        stem = f"make_{stem}" if not isinstance(node, types.LambdaType) else stem
        edits = namespace.absolute_imports(text, node) if namespace is not None else []
        number = 1
        while True:
            # No line: it is another one when what was loaded is packed again.
            key = f"captured_{stem}_{number}"
            source = factory_source(key, code, text, node, expression, edits)
            piece = Piece(source, text.file, first_line(node) - 2)
            if home.factories.setdefault(key, piece) == piece:
                break
            number += 1
        if namespace is not None:
            usage = find_usage(source)
            for used in sorted(usage.at_once | usage.later | set(namespace.looked_up(source))):
                namespace.require(used)
        self._uses_runtime = True
        return self.named(home.module, key), cells, state, None, None, self.helper("restore")

    def _state_of(self, function: types.FunctionType, made_as: str) -> dict[str, Any]:
        """Return what a function has beside its code and cells.

        Args:
            function: The live one.
            made_as: The name that it has when it is made again.
        """
        code = function.__code__
        state = {
            "__qualname__": function.__qualname__,
            "__name__": function.__name__,
            "__defaults__": function.__defaults__,
            "__kwdefaults__": function.__kwdefaults__,
            "__dict__": dict(function.__dict__),
            "__doc__": function.__doc__,
            "__annotations__": function.__annotations__,
        }
        if function.__doc__ in code.co_consts[:1]:
            del state["__doc__"]
        if function.__name__ == made_as:
            del state["__name__"]
        if function.__annotations__ and not self._can_pickle(function.__annotations__):
            del state["__annotations__"]
        return {name: value for name, value in state.items() if value is not None and value != {}}

    # Results

    def pending(self) -> list[tuple[Namespace, str, Any]]:
        """Return names taken by value that were not yet tried."""
        for namespace in self._namespaces.values():
            namespace.settle()
        return [
            (namespace, name, namespace.values[name])
            for namespace in self._namespaces.values()
            for name in namespace.variables
            if name in namespace.values and (namespace.module, name) not in self._tried
        ]

    def try_values(self) -> None:
        """Find out which values can be pickled; others are given up."""
        while self._try_some():
            pass

    def _try_some(self) -> bool:
        """Try what was not yet tried, which can bring more; return False if there was nothing."""
        pending = self.pending()
        for namespace, name, value in pending:
            self._tried.add((namespace.module, name))
            why = self._fails(value)
            if why is not None and name in namespace.values:
                namespace.reject(name, why)
        repairs = [
            (namespace, key)
            for namespace in self._namespaces.values()
            for key in namespace.repairs
            if (namespace.module, ".".join(key)) not in self._tried
        ]
        for namespace, key in repairs:
            self._tried.add((namespace.module, ".".join(key)))
            why = self._fails(namespace.repairs[key][2])
            if why is not None:
                del namespace.repairs[key]
                namespace.rejected[".".join(key)] = why
        changes = {
            ".".join(key): key for key in self._changes if (_CHANGES, ".".join(key)) not in self._tried
        }
        for path, key in changes.items():
            self._tried.add((_CHANGES, path))
            why = self._fails(self._changes[key].value)
            if why is not None:
                del self._changes[key]
                self._unchanged[path] = why
        return bool(pending or repairs or changes)

    def with_values(self, obj: Any) -> Any:
        """Return what to pickle for *obj*: it, what synthesised modules need before, and what is set then."""
        values: list[Any] = [
            self._entry_set(value) if type(value) is TableEntry else value
            for value in self._beforehand
            if type(value) is not TableEntry or self._can_pickle(value.value)
        ]
        for namespace in self._namespaces.values():
            # In the order in which the script made them: the later may need the earlier.
            for name in namespace.variables:
                if name in namespace.values and (namespace.module, name) not in self._set:
                    setter = self.named(namespace.module, SET)
                    values.append(_Call(setter, (name, namespace.values[name])))
            for (path, attribute), repair in namespace.repairs.items():
                if (namespace.module, f"{path}.{attribute}") not in self._set:
                    values.append(self._repaired(*repair))
        for key, change in self._changes.items():
            if (_CHANGES, ".".join(key)) not in self._set:
                values.append(_Call(self.helper("change"), (change.owner, {change.name: change.value})))
        if not values and not self._attributes:
            return obj
        everything = (*values, obj, *self._attributes.values())
        return _Call(self.named("operator", "getitem"), (everything, len(values)))

    def _entry_set(self, entry: TableEntry) -> _Call:
        table = self.named(original_name(entry.module), entry.name)
        key = _Call(str, (entry.cls,)) if entry.by_text else entry.cls
        return _Call(self.named("builtins", "dict.setdefault"), (table, key, entry.value))

    def _repaired(self, owner: Any, attribute: Any, value: Any) -> _Call:
        if type(owner) is ClosureOf:
            return _Call(self.helper("set_variable"), (*owner, value))
        if type(owner) is not Holder:
            return _Call(self.helper("restore"), (owner, {attribute: value}))
        container = self.named(self.rename(owner.module), owner.path)
        return _Call(self.helper("register"), (container, attribute, value))

    def values(self) -> Iterator[tuple[Any, str]]:
        """Yield the globals that are taken by value, and their names."""
        for namespace in self._namespaces.values():
            for name, value in namespace.values.items():
                yield value, f"{original_name(namespace.name)}.{name}"

    def begin(self, beforehand: tuple[Any, ...]) -> None:
        """Say that the next pickle is loaded first.

        Args:
            beforehand: Classes, functions and modules that must be there before what it holds is made.
        """
        self._set.clear()
        self._beforehand = (*self._entries, *beforehand)

    def commit(self) -> None:
        """Say that the pickle so far is loaded before the next, which need not set the same values again."""
        self._beforehand = ()
        for namespace in self._namespaces.values():
            self._set |= {(namespace.module, name) for name in namespace.values}
            self._set |= {(namespace.module, ".".join(key)) for key in namespace.repairs}
        self._set |= {(_CHANGES, ".".join(key)) for key in self._changes}

    def name_of(self, obj: Any) -> tuple[str, str] | None:
        """Return the synthesised name of a class or function, None if it has another."""
        answer = self.reduce(obj)
        return (answer.module, answer.qualname) if type(answer) is Global else None

    def home_of(self, cls: type) -> str:
        """Return the name of the module that *cls* is of where the object is loaded."""
        answer = self.reduce(cls)
        made = isinstance(answer, tuple) and isinstance(answer[0], Global)
        return answer[0].module if made else cls.__module__

    def made_by(self, key: str) -> type | None:
        """Return the class that a recipe makes again by this key, None if it is none."""
        number = key.rpartition(" ")[2]
        return self._made[int(number)] if " " in key and number.isdigit() else None

    def find_live(self, module: str, qualname: str) -> Any:
        """Return the live object of a synthesised name.

        Raises:
            AttributeError: if there is none.
        """
        if (module, qualname) in self._live:
            return self._live[module, qualname]
        for namespace in self._namespaces.values():
            if namespace.is_named and namespace.module == module:
                found: Any = namespace.variables.get(qualname.partition(".")[0])
                for part in qualname.split(".")[1:]:
                    found = getattr(found, part)
                return found
        raise AttributeError(f"{module}.{qualname}")

    def warnings(self, packed: Iterable[ModuleName]) -> list[str]:
        """Return what the user should know, as sentences.

        Args:
            packed: Modules that are in the case.
        """
        inside = frozenset(packed)
        told = [
            f"{module.file} was changed after {module.name} was imported; the case holds what was imported"
            for module in self._changed
            if module.name in inside and module.source is not None and not module.by_loader
        ]
        return [*told, *self.stale(inside), *self._lost]

    def stale(self, packed: Iterable[ModuleName]) -> list[str]:
        """Return which modules the case has in another version than this process, as sentences.

        Args:
            packed: Modules that are in the case.
        """
        inside = frozenset(packed)
        return [
            f"{module.file} was changed after {module.name} was imported; the case holds the file as it"
            " is now: pack in a new process, which imports it"
            for module in self._changed
            if module.name in inside and module.source is None
        ]

    @property
    def left_out(self) -> list[str]:
        """Names that could not be taken, as sentences."""
        lost = [
            (f"{namespace.users_name}.{name}", "set" if "." in name else "defined", why)
            for namespace in self._namespaces.values()
            for name, why in sorted(namespace.rejected.items())
        ]
        lost += [(original_name(path), "set", why) for path, why in sorted(self._unchanged.items())]
        told = [f"{path} cannot be packed and is not {done} in the case: {why}" for path, done, why in lost]
        return [*told, *self._ended]

    def modules(self) -> dict[ModuleName, CapturedModule]:
        """Return the synthesised modules, by name; empty if there are none."""
        made = [module_of_home(h, self.package) for h in self._homes.values()]
        made += [
            m for n in self._namespaces.values() if (m := module_of_namespace(n, self.package)) is not None
        ]
        kept = {
            m.name: CapturedModule(m.name, m.source, m.is_package, file=m.file)
            for m in self._changed
            if m.source is not None
        }
        if not made and not self._uses_runtime:
            return kept
        source = (resources.files(__package__) / "runtime.py").read_text("utf-8")
        package = ModuleName(self.package)
        made.append(CapturedModule(package, source, True))
        return kept | {module.name: module for module in sorted(made, key=lambda m: m.name)}


def _is_of_script(module: str) -> bool:
    """Tell whether a module of an open case, by its full name, was made of code that no import leads to."""
    return module.startswith(LIVE_PREFIX) and is_captured(original_name(module))


def _wrapped_by(outer: Any, depth: int = 0) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the functions that a decorated one is made of, and the names that lead to each."""
    if depth > _DECORATORS:
        return
    found = {"__wrapped__": getattr(outer, "__wrapped__", None)}
    if isinstance(outer, types.FunctionType):
        for name, cell in zip(outer.__code__.co_freevars, outer.__closure__ or (), strict=True):
            found[name] = cell.cell_contents if cell != types.CellType() else None
    for name, inner in found.items():
        if isinstance(inner, types.FunctionType) or hasattr(inner, "__wrapped__"):
            yield (name,), inner
            yield from (((name, *steps), deep) for steps, deep in _wrapped_by(inner, depth + 1))


_DECORATORS = 4
"""How many decorators on one function are looked through."""


def _never(value: Any) -> str | None:
    return None


def _global_names(code: types.CodeType) -> Iterator[str]:
    """Yield the names that a function without source may look up among its globals."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _free_name() -> str:
    """Return a name for the package of synthesised modules that no module of the user has."""
    from wardian.environment import Distributions, ModuleKind, find_module

    number = 1
    while True:
        name = CAPTURED if number == 1 else f"{CAPTURED}_{number}"
        if find_module(ModuleName(name), Distributions.current()).kind is ModuleKind.MISSING:
            return name
        number += 1
