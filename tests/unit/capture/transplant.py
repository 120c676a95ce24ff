"""Pickle an object with its code, and load it where only that code is, in this process."""

from __future__ import annotations

import importlib
import itertools
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wardian.capture.session import Capture
from wardian.packing.tracing.finders import SourceFinder
from wardian.pickling.pickler import pickle_object
from wardian.pickling.unpickler import unpickle

_numbers = itertools.count()


def execute(source: str, **variables: Any) -> dict[str, Any]:
    """Execute *source* as a notebook does a cell, and return its globals."""
    file = f"<ipython-input-{next(_numbers)}-unit>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace = {"__name__": "notebook", **variables}
    exec(compile(source, file, "exec", dont_inherit=True), namespace)
    return namespace


def execute_with_function(source: str, **variables: Any) -> dict[str, Any]:
    """Execute *source* and a function after it: the cells of a notebook are found by its functions."""
    return execute(f"{source}\ndef ending():\n    pass\n", **variables)


def take(obj: Any) -> tuple[bytes, Capture]:
    """Return the pickle of *obj* and what holds its code."""
    capture = Capture()
    return pickle_object(obj, name="obj", persistent_id=lambda o: None, capture=capture).data, capture


def transplant(obj: Any) -> Any:
    """Return what loading *obj* elsewhere gives."""
    data, capture = take(obj)
    with installed({name: (m.source, m.is_package, m.file) for name, m in capture.modules().items()}):
        return unpickle(data, find_global=find_global, persistent_load=lambda pid: None)


@contextmanager
def installed(sources: dict[Any, tuple[str, bool, str | None]]) -> Iterator[None]:
    """Let modules be imported while the block runs."""
    finder = SourceFinder(sources)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in sources:
            module = sys.modules.pop(name, None)
            # The next object's code has the same file, and who asks for its lines gets its own.
            linecache.cache.pop(getattr(module, "__file__", None) or "", None)


def find_global(module: str, qualname: str) -> Any:
    """Return a global as an unpickler finds it."""
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
