"""Pickling at the speed of the C pickler, with the globals and the culprits known."""

from __future__ import annotations

import copyreg
import importlib
import io
import pickle
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wardian.capture.session import Capture, Global
from wardian.errors import Problem, UnpicklableError
from wardian.names import original_name
from wardian.pickling.paths import find_path
from wardian.pickling.stream import canonicalise, named_global

__all__ = ["PROTOCOL", "PersistentId", "PickledObject", "pickle_object"]

PROTOCOL = 4
"""The pickle protocol of a case (docs/format.md, 4.1)."""

_ATOMS = frozenset({int, float, str, bytes, bool, type(None), list, dict, tuple, set, frozenset, complex})

PersistentId = Callable[[Any], tuple[Any, ...] | None]


@dataclass(frozen=True, slots=True)
class PickledObject:
    """A pickle in canonical form and what it refers to."""

    data: bytes
    globals: tuple[tuple[str, str], ...]
    """(module, qualified name) of every global it names."""


class _Pickler(pickle.Pickler):
    """The C pickler, with storages and packaged objects as persistent ids.

    `reducer_override` sees every object that is not of a builtin type before the pickler does.
    """

    def __init__(self, file: io.BytesIO, persistent_id: PersistentId, capture: Capture | None = None) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._persistent_id = persistent_id
        self._capture = capture
        self._reduced: dict[int, tuple[tuple[Any, ...], Any]] = {}

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        if type(obj) in _ATOMS:
            return None
        pid = self._persistent_id(obj)
        if pid is None and hasattr(type(obj), "__reduce_package__"):
            pid = self._reduce_package(obj)
        return pid

    def _reduce_package(self, obj: Any) -> tuple[Any, ...]:
        known = self._reduced.get(id(obj))
        if known is None:
            reduced = obj.__reduce_package__(self)
            # The object is held: were it freed, the next one could get its id and be taken for it.
            known = self._reduced[id(obj)] = (("reduce_package", len(self._reduced), *reduced), obj)
        return known[0]

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.ModuleType):
            return importlib.import_module, (original_name(obj.__name__),)
        if self._capture is None:
            return NotImplemented
        answer = self._capture.reduce(obj)
        return (named_global, (answer.module, answer.qualname)) if type(answer) is Global else answer


class _Diagnosis(_Pickler):
    """A pickler that goes on after an object that cannot be pickled, and remembers it."""

    def __init__(self, file: io.BytesIO, persistent_id: PersistentId, capture: Capture | None = None) -> None:
        super().__init__(file, persistent_id, capture)
        self.found: list[tuple[Any, str]] = []

    def reducer_override(self, obj: Any) -> Any:
        reduced = super().reducer_override(obj)
        if reduced is not NotImplemented:
            return reduced
        try:
            if isinstance(obj, type | types.FunctionType):
                pickle.dumps(obj, PROTOCOL)  # by name: fails if the name does not lead back to it
            else:
                reduce = copyreg.dispatch_table.get(type(obj))
                return reduce(obj) if reduce is not None else obj.__reduce_ex__(PROTOCOL)
        except Exception as error:  # noqa: BLE001  any __reduce__ may raise anything
            self.found.append((obj, str(error)))
            return str, ()
        return NotImplemented


def pickle_object(
    obj: Any,
    *,
    name: str,
    persistent_id: PersistentId,
    rename: Callable[[str], str] | None = None,
    capture: Capture | None = None,
) -> PickledObject:
    """Pickle *obj* in canonical form.

    Args:
        obj: What to pickle.
        name: What to call it in messages (`model`).
        persistent_id: Returns the persistent id of a storage, None for anything else.
        rename: Maps the module of every global to the name it is written under.
        capture: Takes classes and functions that no import leads to. None leaves them to Python, which
            refuses them.

    Raises:
        UnpicklableError: if something inside cannot be pickled; `problems` lists all of it.
    """
    buffer = io.BytesIO()
    if capture is not None:
        capture.fails = partial(_why_not, capture)
    try:
        _Pickler(buffer, persistent_id, capture).dump(obj)
        if capture is not None:
            capture.try_values()
            wanted = capture.with_values(obj)
            if wanted is not obj:
                buffer = io.BytesIO()
                _Pickler(buffer, persistent_id, capture).dump(wanted)
    except Exception as error:
        raise _diagnose(obj, name, persistent_id, error, capture) from error
    canonical = canonicalise(buffer.getvalue(), rename)
    return PickledObject(canonical.data, canonical.globals)


def _why_not(capture: Capture, value: Any) -> str | None:
    """Return why *value* cannot be pickled, None if it can. Nothing is written."""
    try:
        _Pickler(io.BytesIO(), _without_content, capture).dump(value)
    except Exception as error:  # noqa: BLE001  any __reduce__ may raise anything
        return f"{type(error).__name__}: {error}"
    return None


def _without_content(obj: Any) -> tuple[Any, ...] | None:
    # Asked about each object; only a storage has both.
    kind = type(obj)
    is_storage = kind.__name__.endswith("Storage") and kind.__module__.startswith("torch")
    return ("storage",) if is_storage else None


def _diagnose(
    obj: Any, name: str, persistent_id: PersistentId, error: Exception, capture: Capture | None
) -> UnpicklableError:
    diagnosis = _Diagnosis(io.BytesIO(), persistent_id, capture)
    try:
        diagnosis.dump(obj)
    except Exception as again:  # noqa: BLE001  not one object but, say, too deep a recursion
        diagnosis.found.append((obj, str(again)))
    culprits: Sequence[tuple[Any, str]] = diagnosis.found or [(obj, str(error))]
    paths = [find_path(obj, culprit, name) or name for culprit, _ in culprits]
    problems = [
        Problem(
            f"{path} is a {type(culprit).__qualname__} and cannot be pickled: {why}", _fix_for(culprit, path)
        )
        for path, (culprit, why) in zip(paths, culprits, strict=True)
    ]
    return UnpicklableError("the object cannot be pickled", problems=problems, path=paths[0])


def _fix_for(culprit: Any, path: str) -> str:
    if isinstance(culprit, types.FunctionType | type):
        return f"define {culprit.__qualname__} at the top level of a module, and set {path} to it"
    return f"remove {path} before packing, or leave it out in the __getstate__ of the class that holds it"
