"""Functions and lambdas that were made inside of functions: how each is made again."""

from __future__ import annotations

import dis
import re
import types
from collections.abc import Iterator
from typing import Any

from wardian.capture.definitions import Piece
from wardian.capture.factories import factory_source
from wardian.capture.namespaces import Namespace
from wardian.capture.naming import Names
from wardian.capture.placing import Places
from wardian.capture.synthesis import Home
from wardian.capture.texts import Function, Text, find_function, first_line
from wardian.capture.trials import Trials
from wardian.capture.usage import find_usage
from wardian.domain.live_names import original_name
from wardian.domain.names import ModuleName
from wardian.source.rewriting import dump_code

__all__ = ["LocalFunctions"]


class LocalFunctions:
    """Makes local functions again, by factories or of their bytecode.

    Args:
        names: Names of modules and globals.
        places: Where the factories go.
        trials: Tells which values can be pickled.

    Attributes:
        bytecode: Functions without source, which only this Python can run.
    """

    def __init__(self, names: Names, places: Places, trials: Trials) -> None:
        self._names, self._places, self._trials = names, places, trials
        self.bytecode: set[str] = set()

    def reduce(self, function: types.FunctionType, namespace: Namespace | None) -> tuple[Any, ...]:
        """Return what the pickler is to write for a local function.

        Args:
            function: The live one.
            namespace: That of its globals; None if these are those of an importable module.
        """
        code = function.__code__
        home = namespace or self._places.home_of(self._names.rename(function.__globals__["__name__"]))
        cells = function.__closure__ or ()
        found = find_function(code)
        made_as = code.co_name if found is None else getattr(found[1], "name", "<lambda>")
        state = self._state_of(function, made_as)
        if found is not None:
            factory = self._factory_in(home, function, *found)
            return (
                self._names.named(home.module, factory),
                cells,
                state,
                None,
                None,
                self._names.helper("restore"),
            )
        if namespace is not None:
            for used in _global_names(code):
                namespace.require(used)
        module = original_name(function.__module__ or "<executed>")
        if namespace is not None and module == original_name(namespace.script.name):
            module = ModuleName(namespace.script.users_name)
        self.bytecode.add(f"{module}.{function.__qualname__}")
        make = self._places.maker_in(home, "code_of")
        return make, (dump_code(code), *cells), state, None, None, self._names.helper("restore")

    def _factory_in(
        self, home: Namespace | Home, function: types.FunctionType, text: Text, node: Function
    ) -> str:
        """Return the name of a function in *home* that makes the function; it is written if there is none."""
        in_script = isinstance(home, Namespace)
        stem = re.sub(r"\W", "_", re.sub(r"<(\w+)>\.?", "", function.__qualname__)).strip("_") or "function"
        edits = home.script.absolute_imports(text, node) if isinstance(home, Namespace) else []
        number = 1
        while True:
            # No line: it is another one when what was loaded is packed again.
            name = f"captured_make_{stem}_{number}"
            expression = "globals()" if in_script else "namespace"
            source = factory_source(name, function.__code__, text, node, expression, edits)
            piece = Piece(source, text.file, first_line(node) - 2)
            if home.factories.setdefault(name, piece) == piece:
                break
            number += 1
        if isinstance(home, Namespace):
            usage = find_usage(source)
            for used in sorted(usage.at_once | usage.later | set(home.looked_up(source))):
                home.require(used)
        return name

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
        if function.__annotations__ and not self._trials.can_pickle(function.__annotations__):
            del state["__annotations__"]
        return {name: value for name, value in state.items() if value is not None and value != {}}


def _global_names(code: types.CodeType) -> Iterator[str]:
    """Yield the names that a function without source may look up among its globals."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)
