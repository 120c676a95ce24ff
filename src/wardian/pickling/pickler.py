"""Pickling at the speed of the C pickler, with the globals and the culprits known."""

from __future__ import annotations

import copyreg
import importlib
import io
import pickle
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, Protocol

from wardian.capture.homes import portable_module
from wardian.capture.naming import Global
from wardian.capture.session import Capture
from wardian.collector import collector_paused
from wardian.domain.live_names import original_name
from wardian.domain.names import PlainTensor
from wardian.environment.modules import is_module, known_attribute
from wardian.errors import Problem, UnpicklableError
from wardian.pickling.canonical import canonicalise
from wardian.pickling.paths import find_path
from wardian.pickling.plain import pickle_plain
from wardian.pickling.reducers.logging_libraries import silences
from wardian.pickling.reducers.process import reduce_path
from wardian.pickling.reducers.row import RefusedError
from wardian.pickling.reducers.table import answer_for
from wardian.pickling.sets import TensorInSetError
from wardian.pickling.tape import named_global, same_object
from wardian.wording import with_article

__all__ = [
    "NotPicklableError",
    "PROTOCOL",
    "PersistentId",
    "PickledObject",
    "PlainTensors",
    "ReducePackage",
    "module_of",
    "pickle_object",
]

PROTOCOL = 4
"""The pickle protocol of a case (docs/reference/format.md, 4.1)."""

_ATOMS: frozenset[type] = frozenset(
    {int, float, str, bytes, bool, type(None), list, dict, tuple, set, frozenset, complex}
)

_ALIAS: Any = type(typing.List[int])  # noqa: UP006
"""The class of `Optional[int]`, `List[int]` and the like."""

PersistentId = Callable[[Any], tuple[Any, ...] | None]
ReducePackage = Callable[[Any], tuple[Any, ...]]
"""Returns the persistent id of an object with `__reduce_package__` (docs/reference/format.md, 4.3)."""


class PlainTensors(Protocol):
    """Knows the tensors that need not be asked how they are pickled."""

    @property
    def kind(self) -> type:
        """Their class."""

    def describe(self, obj: Any) -> PlainTensor | None:
        """Return what is written for *obj*, an instance of `kind`; None if it has to be asked.

        What is described is held until the pickle is made: were it freed, the next could get its id.
        """


class NotPicklableError(UnpicklableError, pickle.PicklingError):
    """Something cannot be pickled; also the error that `pickle` itself would raise."""


@dataclass(frozen=True, slots=True)
class PickledObject:
    """A pickle in canonical form and what it refers to."""

    data: bytes
    globals: tuple[tuple[str, str], ...]
    """(module, qualified name) of every global it names."""
    modules: tuple[str, ...] = ()
    """Modules that are part of the object."""
    is_plain: bool = False
    """Whether all of it is known to be Python's own containers, texts and numbers."""


@dataclass(frozen=True, slots=True)
class _Hooks:
    """The decisions that callers of a pickler make."""

    persistent_id: PersistentId
    rename: Callable[[str], str]
    reduce_package: ReducePackage | None
    reduce_global: Callable[[Any], Any] | None
    capture: Capture | None
    refuse: Callable[[Any], None] | None
    tensors: PlainTensors | None = None


class _Pickler(pickle.Pickler):
    """The C pickler, with storages and packaged objects as persistent ids.

    `reducer_override` sees every object that is not of a builtin type before the pickler does.
    """

    def __init__(self, file: io.BytesIO, hooks: _Hooks) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._hooks = hooks
        self._without_id: set[type] = set(_ATOMS)
        self._left_to_python = frozenset() if hooks.capture is None else hooks.capture.left_to_python
        self._tensor = None if hooks.tensors is None else hooks.tensors.kind
        self._numbers: dict[int, int] = {}
        self.tensors: list[PlainTensor] = []
        """The tensors that stand behind persistent ids that are numbers."""
        self.modules: list[str] = []
        self._aliases: dict[tuple[str, Any], Any] = {}
        """Those of `typing` that were written; held, as their ids are keys of the memo."""
        self.error: Exception | None = None
        """The error that a `__reduce_package__`, or writing a storage, raised."""

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | int | None:
        kind = type(obj)
        if kind in self._without_id:
            return None
        try:
            if kind is self._tensor:
                return self._number(obj)
            pid = self._hooks.persistent_id(obj)
        except OSError as error:  # of the disk: nothing is wrong with the object
            self.error = error
            raise
        if pid is None:
            reduce = self._hooks.reduce_package
            if reduce is None or not hasattr(kind, "__reduce_package__"):
                self._without_id.add(kind)
                return None
            try:
                pid = reduce(obj)
            except Exception as error:
                self.error = error
                raise
        return pid

    def _number(self, tensor: Any) -> int | None:
        known = self._numbers.get(id(tensor))
        if known is not None:
            return known
        assert self._hooks.tensors is not None
        described = self._hooks.tensors.describe(tensor)
        if described is None:
            return None
        number = len(self.tensors)
        self._numbers[id(tensor)] = number
        self.tensors.append(described)
        return number

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) in self._left_to_python:
            return NotImplemented
        hooks = self._hooks
        if issubclass(type(obj), _ALIAS) and hooks.capture is not None:
            known = self._known_alias(obj)
            if known is not obj:
                return same_object, (known,)
        if hooks.refuse is not None and isinstance(obj, type | types.FunctionType | types.ModuleType):
            hooks.refuse(obj)
        if is_module(obj) and (hooks.capture is None or not silences(obj)):
            captured = None if hooks.capture is None else hooks.capture.module_of(obj)
            name = captured or portable_module(original_name(hooks.rename(obj.__name__)))
            self.modules.append(name)
            return importlib.import_module, (name,)
        if hooks.reduce_global is not None and isinstance(obj, type | types.FunctionType):
            return hooks.reduce_global(obj)
        if hooks.capture is None:
            return reduce_path(obj)
        answer = answer_for(hooks.capture, obj)
        return (named_global, (answer.module, answer.qualname)) if type(answer) is Global else answer

    def _known_alias(self, alias: Any) -> Any:
        """Return the alias of `typing` that was written in the place of one that is the same.

        Python keeps a number of them (typing.py, `_tp_cache`), so that, where they are loaded, they are one.
        """
        try:
            # `Union[int, str]` equals `Union[str, int]`.
            return self._aliases.setdefault((repr(alias), alias), alias)
        except Exception:  # noqa: BLE001  of what is annotated with
            return alias


_ALIKE = (
    *(int, float, complex, str, bytes, type(None), tuple, frozenset, range, type(...), Enum, re.Pattern),
    *(type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
)
"""Types whose equal instances nobody tells apart, that go by name, or that hold others that count."""
_ALIKE_IN_TORCH = frozenset({"Size", "device", "dtype", "layout", "memory_format"})


class _Watching(_Pickler):
    """A pickler that notes what another pickle might share with this one.

    Args:
        file: As for `_Pickler`.
        hooks: As for `_Pickler`.
        seen: Objects by id, held; and storages by their number, as texts.
    """

    def __init__(self, file: io.BytesIO, hooks: _Hooks, seen: dict[int | str, Any]) -> None:
        super().__init__(file, hooks)
        self._seen = seen

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | int | None:
        kind = type(obj)
        if not isinstance(obj, _ALIKE) and not (
            kind.__module__ == "torch" and kind.__name__ in _ALIKE_IN_TORCH
        ):
            self._seen[id(obj)] = obj
        pid = super().persistent_id(obj)
        if isinstance(pid, int):
            self._seen[self.tensors[pid].storage] = None
        elif pid is not None and pid[0] == "storage":
            self._seen[str(pid[2])] = None
        return pid


class _Diagnosis(_Pickler):
    """A pickler that goes on after an object that cannot be pickled, and remembers it."""

    def __init__(self, file: io.BytesIO, hooks: _Hooks) -> None:
        super().__init__(file, hooks)
        self.found: list[tuple[Any, Exception]] = []

    def reducer_override(self, obj: Any) -> Any:
        try:
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented:
                return reduced
            if isinstance(obj, type | types.FunctionType):
                pickle.dumps(obj, PROTOCOL)  # by name: fails if the name does not lead back to it
            else:
                reduce = copyreg.dispatch_table.get(type(obj))
                return reduce(obj) if reduce is not None else obj.__reduce_ex__(PROTOCOL)
        except Exception as error:  # noqa: BLE001  any __reduce__ may raise anything
            self.found.append((obj, error))
            return str, ()
        return NotImplemented


@collector_paused()
def pickle_object(
    obj: Any,
    *,
    name: str,
    persistent_id: PersistentId,
    rename: Callable[[str], str] | None = None,
    reduce_package: ReducePackage | None = None,
    reduce_global: Callable[[Any], Any] | None = None,
    capture: Capture | None = None,
    refuse: Callable[[Any], None] | None = None,
    tensors: PlainTensors | None = None,
    seen: dict[int | str, Any] | None = None,
) -> PickledObject:
    """Pickle *obj* in canonical form.

    Args:
        obj: What to pickle.
        name: What to call it in messages (`model`).
        persistent_id: Returns the persistent id of a storage, None for anything else; asked only once for a
            class of which it returns None.
        rename: Maps the module of every global to the name it is written under.
        reduce_package: Returns the persistent id of an object with `__reduce_package__`; without it such
            an object is pickled like any other.
        reduce_global: Called with each class and function that is written by name, as
            `pickle.Pickler.reducer_override` is; it may raise.
        capture: Takes classes and functions that no import leads to. None leaves them to Python, which
            refuses them.
        refuse: Called with each class, function and module first; raises `RefusedError` for one that must not
            be written.
        tensors: Writes plain tensors without asking each, which takes a multiple of the time. The pickle
            is the same.
        seen: Given what another pickle may share with this one: objects by id, storages by number.

    Raises:
        UnpicklableError: if something inside cannot be pickled; `problems` lists all of it.
        OSError: what *persistent_id* raises when it cannot write.
        Exception: what a `__reduce_package__` raises.
    """
    hooks = _Hooks(persistent_id, rename or str, reduce_package, reduce_global, capture, refuse)
    try:
        return _pickled(obj, name, hooks, tensors, seen)
    except TensorInSetError:
        return _pickled(obj, name, hooks, None, seen)


def _pickled(
    obj: Any, name: str, asking: _Hooks, tensors: PlainTensors | None, seen: dict[int | str, Any] | None
) -> PickledObject:
    """Do the work of `pickle_object`; *asking* has no tensors: whoever looks for what fails asks each.

    Raises:
        TensorInSetError: if one of *tensors* is in a set; then each has to be asked.
    """
    capture = asking.capture
    hooks = replace(asking, tensors=tensors)
    make = _Pickler if seen is None else partial(_Watching, seen=seen)
    buffer = io.BytesIO()
    pickler = make(buffer, hooks)
    plain = pickle_plain(obj) if seen is None else None
    with nullcontext() if capture is None else capture.trying(partial(_why_not, asking)):
        try:
            if plain is None:
                pickler.dump(obj)
            if capture is not None:
                capture.try_values()
                wanted = capture.effects.written_around(obj)
                if wanted is not obj:
                    plain = None
                    buffer = io.BytesIO()
                    pickler = make(buffer, hooks)
                    pickler.dump(wanted)
                capture.name_places(
                    lambda part: (
                        find_path(obj, part, name)
                        or _place_in_globals(part, capture)
                        or f"{with_article(type(part).__qualname__)} in {name}"
                    )
                )
        except Exception as error:
            if pickler.error is error:  # of an API of its own, whose callers know its errors
                raise
            raise _diagnose(obj, name, asking, error) from error
    if plain is not None:
        return PickledObject(plain, (), is_plain=True)
    canonical = canonicalise(buffer.getvalue(), hooks.rename, pickler.tensors)
    return PickledObject(canonical.data, canonical.globals, tuple(dict.fromkeys(pickler.modules)))


def _why_not(hooks: _Hooks, value: Any) -> str | None:
    """Return why *value* cannot be pickled, None if it can. Nothing is written.

    Raises:
        RefusedError: if there is something inside that must not be: a case without it, or with what made it
            here, would be another.
    """
    try:
        _Pickler(io.BytesIO(), replace(hooks, persistent_id=_without_content)).dump(value)
    except RefusedError:
        raise
    except Exception as error:  # noqa: BLE001  any __reduce__ may raise anything
        return f"{type(error).__name__}: {error}"
    return None


def _without_content(obj: Any) -> tuple[Any, ...] | None:
    # Asked about each object; only a storage has both.
    kind = type(obj)
    is_storage = kind.__name__.endswith("Storage") and kind.__module__.startswith("torch")
    return ("storage",) if is_storage else None


def module_of(obj: Any, name: str) -> str:
    """Return the module in which *name* leads to *obj*, as `pickle` finds it."""
    return pickle.whichmodule(obj, name)  # type: ignore[attr-defined,no-any-return]


def _diagnose(obj: Any, name: str, hooks: _Hooks, error: Exception) -> UnpicklableError:
    buffer = io.BytesIO()
    diagnosis = _Diagnosis(buffer, hooks)
    incomplete = False
    try:
        diagnosis.dump(obj)
    except RecursionError:
        levels = sys.getrecursionlimit()
        return NotPicklableError(
            f"{name} cannot be pickled: its parts are nested more than {levels:,} calls of the pickler deep;"
            f" fix: sys.setrecursionlimit({10 * levels}) before packing, or hold the parts in a list",
            path=name,
        )
    except Exception as again:  # noqa: BLE001  not one object, but how it hangs together
        incomplete = True
        diagnosis.found.append((obj, again))
    found: Sequence[tuple[Any, Exception]] = diagnosis.found or [(obj, error)]
    # One problem for all that is refused with the same way out
    refused: dict[str, Problem] = {}
    for culprit, why in found:
        if isinstance(why, RefusedError):
            where = _path_of(culprit, why, obj, name)
            refused.setdefault(why.fix, Problem(f"{where}: {why}", why.fix))
    fixes = {id(culprit): getattr(why, "fix", None) for culprit, why in found}
    culprits = [(culprit, str(why)) for culprit, why in found if not isinstance(why, RefusedError)]
    paths = [_place_of(culprit, obj, name, hooks.capture) for culprit, _ in culprits]
    problems = [
        *refused.values(),
        *(
            Problem(
                f"{path} is {with_article(type(culprit).__qualname__)} and cannot be pickled: {why}{more}",
                fixes[id(culprit)] or _fix_for(culprit, holder),
            )
            for path, (culprit, why), holder, more in _grouped(paths, culprits)
        ),
    ]
    rest = () if incomplete else canonicalise(buffer.getvalue(), hooks.rename).globals
    place = _path_of(*found[0], obj, name)
    return NotPicklableError("the object cannot be pickled", problems=problems, path=place, globals=rest)


def _place_of(culprit: Any, obj: Any, name: str, capture: Capture | None) -> str:
    """Return where something is: in the object, or in a global of a script that it uses."""
    found = find_path(obj, culprit, name)
    if found is None and isinstance(culprit, type):
        found = find_path(obj, culprit, name, instance=True)
    if found is None and capture is not None:
        found = _place_in_globals(culprit, capture)
    return found or f"something that {name} uses"


def _place_in_globals(part: Any, capture: Capture) -> str | None:
    """Return where something is in the globals of scripts that travel by value; None if it is not there."""
    places = (find_path(value, part, label) for value, label in capture.effects.global_values())
    return next(filter(None, places), None)


def _path_of(culprit: Any, why: Exception, obj: Any, name: str) -> str:
    found = find_path(obj, culprit, name)
    if found is None and isinstance(why, RefusedError) and isinstance(culprit, type):
        found = find_path(obj, culprit, name, instance=True)
    return found or name


def _grouped(
    paths: list[str], culprits: Sequence[tuple[Any, str]]
) -> Iterator[tuple[str, tuple[Any, str], str, str]]:
    """Yield what cannot be pickled; many of one compiled library that one attribute holds count as one."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, (path, (culprit, _)) in enumerate(zip(paths, culprits, strict=True)):
        holder = ".".join(re.split(r"\.|(?=\[)", path)[:2])
        groups.setdefault((holder, type(culprit).__module__), []).append(number)
    for (holder, module), numbers in groups.items():
        file = known_attribute(sys.modules.get(module), "__file__") or ""
        is_one = len(numbers) >= _MANY and file.endswith((".so", ".pyd"))
        more = f"; and {len(numbers) - 1} more such parts of {holder}" if is_one else ""
        for number in numbers[:1] if is_one else numbers:
            yield paths[number], culprits[number], holder if is_one else paths[number], more


_MANY = 3


def _fix_for(culprit: Any, path: str) -> str:
    if isinstance(culprit, types.FunctionType | type):
        return f"define {culprit.__qualname__} at the top level of a module, and set {path} to it"
    if path.startswith("something"):
        return (
            f"look for it among the variables, defaults and attributes of the functions and classes: {path}"
        )
    return f"remove {path} before packing, or leave it out in the __getstate__ of the class that holds it"
