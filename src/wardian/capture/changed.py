"""Modules whose files were changed after they were imported."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass

from wardian.capture.texts import read_texts, was_changed
from wardian.environment import Distributions, is_stdlib, known_attribute, variables_of
from wardian.names import ModuleName

__all__ = ["ChangedModule", "find_changed_modules"]


@dataclass(frozen=True, slots=True)
class ChangedModule:
    """A loaded module that its file does not show any more.

    Attributes:
        source: What it was made from; None if that is not known.
    """

    name: ModuleName
    file: str
    is_package: bool
    source: str | None


def find_changed_modules() -> Iterator[ChangedModule]:
    """Yield first-party modules that were changed on disk since they were imported.

    Only files that were written to since this process began are looked at; a module counts as changed if it
    holds a function that its file does not compile to.
    """
    for name, module in sorted(sys.modules.items()):
        file = known_attribute(module, "__file__")
        if (
            not isinstance(module, types.ModuleType)
            or not isinstance(file, str)
            or name == "__main__"
            or name.partition(".")[0] == "wardian"
            or type(known_attribute(module, "__loader__")) is not importlib.machinery.SourceFileLoader
            or is_stdlib(ModuleName(name))
            or not was_changed(file)
            or Distributions.current().owner(ModuleName(name), file) is not None
        ):
            continue
        codes = {
            function.__code__ for function in _functions_of(module) if function.__code__.co_filename == file
        }
        texts = list(read_texts(file))
        fitting = [text for text in texts if all(map(text.holds, codes))]
        # The last text is that of the disk.
        if texts and texts[-1] not in fitting:
            source = fitting[0].source if fitting else None
            yield ChangedModule(
                ModuleName(name), file, known_attribute(module, "__path__") is not None, source
            )


def _functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in list(variables_of(module).values()):
        members = list(vars(value).values()) if isinstance(value, type) else [value]
        for member in members:
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(function, types.FunctionType) and function.__globals__ is variables_of(module):
                yield function
