"""Entries about their class that constructors have written into tables of its library.

An object that is unpickled never ran its constructor. transformers notes for each class of models, when the
first of them is made, which of its outputs can be recorded; without the note a loaded model returns no hidden
states, and one that works on those of its backbone fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wardian.capture.homes import is_importable
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, top_level
from wardian.environment.modules import variables_of

__all__ = ["TableEntry", "find_entries"]


class TableEntry(NamedTuple):
    """An entry about a class in a table at the top level of a module."""

    module: str
    name: str
    cls: type
    by_text: bool
    """Whether the key is `str(cls)`, which is another text where the case is loaded, or the class itself."""
    value: object


def find_entries(classes: Iterable[type]) -> Iterator[TableEntry]:
    """Yield what tables say of classes, in the modules where these and the classes above them are defined."""
    seen: set[tuple[int, int]] = set()
    absent = object()
    for cls in classes:
        for home in dict.fromkeys(base.__module__ for base in cls.__mro__):
            if is_stdlib(ModuleName(home)) or top_level(home) == "torch" or not is_importable(home):
                continue
            for name, table in list(variables_of(sys.modules[home]).items()):
                if not isinstance(table, dict) or name.startswith("__") or not table:
                    continue
                for by_text, key in ((True, str(cls)), (False, cls)):
                    found = dict.get(table, key, absent)
                    if found is not absent and (id(table), id(cls)) not in seen:
                        seen.add((id(table), id(cls)))
                        yield TableEntry(home, name, cls, by_text, found)
