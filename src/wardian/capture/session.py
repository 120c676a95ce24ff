"""Answers to the pickler's questions about code that has no importable home."""

from __future__ import annotations

import pathlib
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

from wardian.capture.changed import find_changed_modules, find_removed
from wardian.capture.classes import recipe_for, subscription_of
from wardian.capture.effects import Effects
from wardian.capture.homes import OWN_PATH, importable, public_name_of_class
from wardian.capture.local_functions import LocalFunctions
from wardian.capture.namespaces import Namespace
from wardian.capture.naming import Call, Global, Names
from wardian.capture.placing import Places
from wardian.capture.side_effects import SideEffects
from wardian.capture.synthesis import CapturedModule, Home
from wardian.capture.trials import Trials
from wardian.domain.live_names import original_name
from wardian.domain.names import ModuleName
from wardian.environment.modules import variables_of

__all__ = ["Capture"]


@dataclass(slots=True)
class _Unlike:
    """Something that is otherwise in the case than here."""

    obj: Any
    """Held: were it freed, the next object could get its id."""
    what: str
    is_loss: bool
    place: str = ""
    """The shortest place that is known."""


class Capture:
    """Answers the pickler for one case, and collects the modules that must be synthesised.

    Args:
        rename: Returns the name that a module has in the case, and may note that it is needed there.

    Attributes:
        effects: What loading does beside making the object.
        side_effects: Finds what the object needs that nothing in it refers to.
        streams: Names of the standard streams in `sys`, by id.
        left_to_python: Classes of whose instances Python pickles each rightly; they need not be asked for
            again.
    """

    def __init__(self, rename: Callable[[str], ModuleName] = original_name) -> None:
        self._names = Names(rename)
        self._trials = Trials()
        self.effects = Effects(self._names, self._trials)
        self._places = Places(self._names, self.effects)
        self.side_effects = SideEffects(self._names, self._places, self.effects)
        self._local_functions = LocalFunctions(self._names, self._places, self._trials)
        self._known: dict[int, tuple[Any, Any]] = {}
        self._made: list[type] = []
        """Classes that are made again by a recipe."""
        self._unlike: dict[int, _Unlike] = {}
        """Objects that come back otherwise, by id."""
        self._unplaced: set[int] = set()
        """The ids of those that the pickle has that is being made."""
        self.runs_here = False
        """Whether the object needs what runs in this process, of which a fork has no copy."""
        self._ended: dict[str, None] = {}
        """Activities of this process that do not go on in the case, as sentences."""
        self._changed = tuple(find_changed_modules())
        # Whatever stands there now: a shell or a test runner has its own.
        names = ("__stdin__", "__stdout__", "__stderr__", "stdin", "stdout", "stderr")
        self.streams = {id(stream): name for name in names if (stream := getattr(sys, name)) is not None}
        self.stream_kinds = {type(getattr(sys, name)) for name in names}
        self.left_to_python: set[type] = set()

    # The pickler's questions

    def reduce(self, obj: Any) -> Any:
        """Return what the pickler is to write for code, or for what stands for some.

        Returns:
            A `Global`, a reduce tuple, NotImplemented for what Python pickles rightly; None if *obj* is no
            code.
        """
        kind = type(obj)
        if kind is Global:
            return obj
        if kind is Call:
            return obj.function, obj.arguments
        if kind is types.FunctionType or isinstance(obj, type):
            known = self._known.get(id(obj))
            if known is None:
                answer = self._function(obj) if kind is types.FunctionType else self._class(obj)
                # The object is held: were it freed, the next one could get its id.
                known = self._known[id(obj)] = (obj, answer)
            return known[1]
        return None

    @contextmanager
    def trying(self, fails: Callable[[Any], str | None]) -> Iterator[None]:
        """Pickle one object: while the context lasts, *fails* returns why a value cannot be pickled."""
        self.effects.forget_last()
        with self._trials.trying(fails):
            yield

    def try_values(self) -> None:
        """Find out which values can be pickled; others are given up."""
        while True:
            for namespace in list(self._places):
                namespace.define_what_is_used_at_once()
            if not self.effects.try_some():
                return

    def why_not(self, value: Any) -> str | None:
        """Return why *value* cannot be pickled, None if it can."""
        return self._trials.why_not(value)

    # Names

    def rename(self, module: str) -> ModuleName:
        """Return the name that a module has in the case."""
        return self._names.rename(module)

    def named(self, module: str, qualname: str) -> Global:
        """Return the one object that stands for a global."""
        return self._names.named(module, qualname)

    def helper(self, name: str) -> Global:
        """Return the name of a function of `wardian.capture.runtime`, which the case then has."""
        return self._names.helper(name)

    def global_in(self, variables: dict[str, Any], obj: Any) -> Any:
        """Return the name of what is a global among *variables*, NotImplemented if it is none."""
        return self._places.global_in(variables, obj)

    def in_globals(self, variables: dict[str, Any], obj: Any) -> Global | None:
        """Return the synthesised name of a global among *variables*, None if it has none."""
        namespace = self._places.namespace_of(variables)
        return None if namespace is None else self._places.name_in(namespace, obj)

    def in_script(self, obj: Any) -> Global | None:
        """Return the synthesised name of a global of the script that runs, None if it has none."""
        return self.in_globals(variables_of(sys.modules["__main__"]), obj)

    def in_module(self, name: str | None, obj: Any) -> Global | None:
        """Return the synthesised name of a global of the module of this name, None if it has none."""
        namespace = self._places.namespace_named(name, obj)
        return None if namespace is None else self._places.name_in(namespace, obj)

    def module_of(self, module: types.ModuleType) -> ModuleName | None:
        """Return the synthesised module that stands for *module*; None if an import finds *module*."""
        return self._places.module_of(module)

    def require_operators(self, namespace: str) -> None:
        """Take what the script does to operators of a namespace of `torch.ops`."""
        script = self._places.script()
        if script is not None:
            script.require_operators(namespace)

    # Classes and functions

    def _class(self, cls: type) -> Any:
        subscription = subscription_of(cls)
        if subscription is not None:
            return self.named("operator", "getitem"), subscription
        found = importable(cls)
        if found == OWN_PATH:
            return self.named("builtins", "type"), (pathlib.Path(),)
        if found is not None:
            self.side_effects.note_patches(cls)
            plain = found == (cls.__module__, cls.__qualname__)
            return NotImplemented if plain else self.named(self.rename(found[0]), found[1])
        found = public_name_of_class(cls)
        if found is not None:
            return self.named(*found)
        namespace = self._places.namespace_of_class(cls)
        known = None if namespace is None else self._places.name_in(namespace, cls)
        if known is not None:
            return known
        home: Namespace | Home = namespace or self._places.home_of(self.rename(cls.__module__))
        recipe = recipe_for(cls)
        members = {
            name: value
            for name, value in recipe.members.items()
            if name != "__annotations__" or self._trials.can_pickle(value)
        }
        make = self._places.maker_in(home, recipe.maker)
        key = f"{cls.__qualname__} {len(self._made)}"
        self._made.append(cls)
        return make, (key, *recipe.arguments), members, None, None, self.helper("finish")

    def _function(self, function: types.FunctionType) -> Any:
        found = importable(function)
        if found is not None:
            plain = found == (function.__module__, function.__qualname__)
            return NotImplemented if plain else self.named(self.rename(found[0]), found[1])
        namespace = self._places.namespace_of(function.__globals__)
        if namespace is not None:
            known = self._places.name_in(namespace, function)
            if known is not None:
                return known
            inside = self._under_decorators(namespace, function)
            if inside is not None:
                return inside
        return self._local_functions.reduce(function, namespace)

    def _under_decorators(self, namespace: Namespace, function: types.FunctionType) -> Any:
        """Return where a function is that the statement of a global decorates, None if it is not in one.

        Executing the statement makes it; another one would be none of those that a memo has as keys.
        """
        outer = namespace.variables.get(function.__name__)
        if function.__qualname__ != function.__name__ or not namespace.script.decorates(outer):
            return None
        steps = next((steps for steps, inner in _wrapped_by(outer) if inner is function), None)
        if steps is None or type(self.reduce(outer)) is not Global:
            return None
        return self.helper("inside"), (outer, steps)

    # What the user should know

    def note_ended(self, what: str) -> None:
        """Note what goes on here and not in the case, as it should be.

        Args:
            what: A sentence without a full stop.
        """
        self._ended[what] = None

    def note_loss(self, obj: Any, what: str, *, runs: bool = False) -> None:
        """Note what comes back without something that it has here: a warning tells it.

        Args:
            obj: Part of the packed object.
            what: What it loses, as a sentence without its subject and a full stop.
            runs: Whether it is at work in this process, and would not be in a fork of it.
        """
        self._note_unlike(_Unlike(obj, what, True))
        self.runs_here |= runs

    def note_replaced(self, obj: Any, what: str) -> None:
        """Note what comes back as something else, as it should: a note of the report tells it.

        Args:
            obj: Part of the packed object.
            what: What becomes of it, as a sentence without its subject and a full stop.
        """
        self._note_unlike(_Unlike(obj, what, False))

    def _note_unlike(self, found: _Unlike) -> None:
        self._unlike.setdefault(id(found.obj), found)
        self._unplaced.add(id(found.obj))

    def name_places(self, find_path: Callable[[Any], str]) -> None:
        """Say where what comes back otherwise is in the object.

        Args:
            find_path: Returns where something is.
        """
        for key in self._unplaced:
            found = self._unlike[key]
            # Several entry points are pickled as a dictionary first, then each by its own name.
            found.place = min(filter(None, (found.place, find_path(found.obj))), key=len)
        self._unplaced.clear()

    @property
    def bytecode(self) -> set[str]:
        """Functions without source, which only this Python can run."""
        return self._local_functions.bytecode

    @property
    def losses(self) -> list[str]:
        """Things that should be in the case and are not, as sentences."""
        return self._told(is_loss=True)

    @property
    def replaced(self) -> list[str]:
        """Things that are in the case as something else, as they should be, as sentences."""
        return self._told(is_loss=False)

    def _told(self, *, is_loss: bool) -> list[str]:
        told = (f"{u.place} {u.what}" for u in self._unlike.values() if u.place and u.is_loss is is_loss)
        return list(dict.fromkeys(told))

    @property
    def left_out(self) -> list[str]:
        """Names that could not be taken, and what does not go on in the case, as sentences."""
        return [*self.effects.left_out(), *self._ended]

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
        return [*told, *self.stale(inside), *self.losses]

    def stale(self, packed: Iterable[ModuleName]) -> list[str]:
        """Return which modules the case has in another version than this process, as sentences.

        Args:
            packed: Modules that are in the case.
        """
        inside = frozenset(packed)
        return find_removed(inside) + [
            f"{module.file} was changed after {module.name} was imported; the case holds the file as it"
            " is now: pack in a new process, which imports it"
            for module in self._changed
            if module.name in inside and module.source is None
        ]

    # Results

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
        return self._places.find_live(module, qualname)

    def modules_used(self) -> set[str]:
        """Return the names of the modules that what is taken of scripts uses."""
        return self._places.modules_used()

    def modules(self) -> dict[ModuleName, CapturedModule]:
        """Return the synthesised modules, by name; empty if there are none."""
        made = self._places.modules()
        kept = {
            m.name: CapturedModule(m.name, m.source, m.is_package, file=m.file)
            for m in self._changed
            if m.source is not None
        }
        if not made and not self._names.uses_runtime:
            return kept
        source = (resources.files(__package__) / "runtime.py").read_text("utf-8")
        package = ModuleName(self._names.package)
        made.append(CapturedModule(package, source, True))
        return kept | {module.name: module for module in sorted(made, key=lambda m: m.name)}


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
