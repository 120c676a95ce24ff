"""Import modules that exist only as text, in the clean process."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
from collections.abc import Mapping, Sequence
from types import ModuleType

__all__ = ["SourceFinder"]


class SourceFinder(importlib.abc.MetaPathFinder):
    """A finder of modules whose sources it is given.

    Args:
        sources: Module name → (source, whether it is a package).
    """

    def __init__(self, sources: Mapping[str, tuple[str, bool]]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules; None for every other name."""
        if fullname not in self._sources:
            return None
        source, is_package = self._sources[fullname]
        return importlib.util.spec_from_loader(fullname, _Loader(fullname, source), is_package=is_package)


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source

    def get_source(self, fullname: str) -> str:
        return self._source

    def is_package(self, fullname: str) -> bool:
        spec = importlib.util.find_spec(fullname)
        return spec is not None and spec.submodule_search_locations is not None
