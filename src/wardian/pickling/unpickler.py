"""Unpickling at the speed of the C unpickler, with globals from a case."""

from __future__ import annotations

import io
import pickle
import types
from collections.abc import Callable
from typing import Any

from wardian.capture.homes import CAPTURED, is_captured
from wardian.collector import collector_paused

__all__ = ["calling_importer", "find_unmade", "unpickle"]


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, data: bytes, find_global: Callable[[str, str], Any], persistent_load: Callable[[Any], Any]
    ) -> None:
        super().__init__(io.BytesIO(data))
        self._find_global = find_global
        self._persistent_load = persistent_load

    def find_class(self, module: str, name: str) -> Any:
        return self._find_global(module, name)

    def persistent_load(self, pid: Any) -> Any:
        return self._persistent_load(pid)


def calling_importer(persistent_load: Callable[[Any], Any], importer: Any) -> Callable[[Any], Any]:
    """Return what loads persistent ids also of objects with `__reduce_package__` (the format, 4.3).

    Args:
        persistent_load: Loads all others.
        importer: What the functions that make those objects get.
    """
    made: dict[Any, Any] = {}

    def load(pid: Any) -> Any:
        if not isinstance(pid, tuple) or not pid or pid[0] != "reduce_package":
            return persistent_load(pid)
        if len(pid) == 3:  # before torch 1.10: no number, and no two references to one object
            return pid[1](importer, *pid[2])
        _, number, function, arguments = pid
        if number not in made:
            made[number] = function(importer, *arguments)
        return made[number]

    return load


def unpickle(
    data: bytes, *, find_global: Callable[[str, str], Any], persistent_load: Callable[[Any], Any]
) -> Any:
    """Build the object that *data* describes.

    Args:
        data: A pickle of any protocol.
        find_global: Returns the global of a module and dotted qualified name.
        persistent_load: Returns the object of a persistent id.

    Raises:
        pickle.UnpicklingError: and whatever the constructors inside raise.
    """
    with collector_paused():
        return _Unpickler(data, find_global, persistent_load).load()


def find_unmade(
    data: bytes, *, find_global: Callable[[str, str], Any], persistent_load: Callable[[Any], Any]
) -> tuple[str, str] | None:
    """Find what could not be made when `unpickle` failed, by unpickling once more, slowly.

    Args:
        data: The pickle.
        find_global: As for `unpickle`.
        persistent_load: As for `unpickle`.

    Returns:
        Module and qualified name of the class or function whose call failed, of a class that a recipe makes
        its key; None if none did.
    """
    # The one that is written in Python can be watched; it is as in Lib/pickle.py since Python 3.4.
    watched: Any = pickle._Unpickler(io.BytesIO(data))  # noqa: SLF001
    watched.find_class, watched.persistent_load = find_global, persistent_load
    making: list[Any] = []

    def watch(step: Callable[[Any], None], place: int) -> Callable[[Any], None]:
        def watched_step(unpickler: Any) -> None:
            making.append(_made_by(unpickler.stack, place))
            step(unpickler)
            making.clear()

        return watched_step

    steps = {opcode[0]: watch(watched.dispatch[opcode[0]], place) for opcode, place in _MAKES.items()}
    watched.dispatch = watched.dispatch | steps
    try:
        watched.load()
    except Exception:  # noqa: BLE001  the error is known
        if making and isinstance(making[0], str):
            return CAPTURED, making[0]
        return (str(making[0].__module__), making[0].__qualname__) if making else None
    return None


_MAKES = {pickle.REDUCE: -2, pickle.NEWOBJ: -2, pickle.NEWOBJ_EX: -3, pickle.BUILD: -2}
"""Opcodes that make something: where on the stack is the callable, or for BUILD the object."""


def _made_by(stack: list[Any], place: int) -> Any:
    made = stack[place]
    module = getattr(made, "__module__", None)
    is_helper = module == "copyreg" or (isinstance(module, str) and is_captured(module) and "." not in module)
    if is_helper and isinstance(made, types.FunctionType | types.BuiltinFunctionType):
        # Those functions take the class, or the object, first; those that make classes a key.
        made = stack[-1][0] if isinstance(stack[-1], tuple) and stack[-1] else made
        if isinstance(made, str):
            return made
    return made if isinstance(made, type | types.FunctionType) else type(made)
