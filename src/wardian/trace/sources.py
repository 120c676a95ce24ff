"""Import modules that exist only as text, in the clean process."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
from collections.abc import Mapping, Sequence
from types import ModuleType

__all__ = ["SourceFinder"]


class SourceFinder(importlib.abc.MetaPathFinder):
    """A finder of modules whose sources it is given.

    Args:
        sources: Module name → (source, whether it is a package, its file if it has one).
    """

    def __init__(self, sources: Mapping[str, tuple[str, bool, str | None]]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules; None for every other name."""
        if fullname not in self._sources:
            return None
        source, is_package, file = self._sources[fullname]
        loader = _Loader(source, is_package=is_package)
        if file is None:
            return importlib.util.spec_from_loader(fullname, loader, is_package=is_package)
        places = [os.path.dirname(file)] if is_package else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=places
        )


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, source: str, *, is_package: bool) -> None:
        self._source = source
        self._is_package = is_package

    def get_source(self, fullname: str) -> str:
        return self._source

    def is_package(self, fullname: str) -> bool:
        return self._is_package
