"""Which distributions are here: folders are listed when they change, and each is looked for once."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import re
import sys
from functools import cached_property, lru_cache

from wardian.domain.names import normalised

__all__ = ["Installed"]

_METADATA = (".dist-info", ".egg-info", ".egg")
_VERSION = re.compile(r"^Version:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
_NOT_HERE = object()
_LIBRARY = re.compile(r"\.(?:so|pyd|dll|dylib)[.0-9]*,")
"""A compiled library in the list of a distribution's files."""


class Installed:
    """The distributions of this environment as they are while it is made.

    A file may name thousands of distributions, and to look for one walks all of `sys.path`.
    """

    def __init__(self) -> None:
        self._found: dict[str, str | object | None] = {}

    def version(self, distribution: str) -> str | None:
        """Return the version of a distribution, None if it has none.

        Raises:
            importlib.metadata.PackageNotFoundError: if it is not here.
        """
        name = normalised(distribution)
        if self._names is not None and name not in self._names:
            raise importlib.metadata.PackageNotFoundError(distribution)
        if name not in self._found:
            try:
                self._found[name] = _version_of(importlib.metadata.distribution(distribution))
            except importlib.metadata.PackageNotFoundError:
                self._found[name] = _NOT_HERE
        found = self._found[name]
        if found is _NOT_HERE:
            raise importlib.metadata.PackageNotFoundError(distribution)
        assert found is None or isinstance(found, str)
        return found

    def has_libraries(self, distribution: str) -> bool | None:
        """Tell whether a distribution has compiled libraries; None if it is not here, or does not say."""
        try:
            self.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            return None
        listed = importlib.metadata.distribution(distribution).read_text("RECORD")
        return None if listed is None else _LIBRARY.search(listed) is not None

    @cached_property
    def _names(self) -> frozenset[str] | None:
        """The names that the folders of `sys.path` show; None if that may not be all."""
        others = [finder for finder in sys.meta_path if finder is not importlib.machinery.PathFinder]
        if any(hasattr(finder, "find_distributions") for finder in others):
            return None
        names: set[str] = set()
        for folder in sys.path:
            try:
                found = os.stat(folder or ".")
                told = _names_in(folder or ".", found.st_mtime_ns, found.st_dev, found.st_ino)
            except NotADirectoryError:  # an archive
                return None
            except OSError:
                continue
            if told is None:
                return None
            names |= told
        return frozenset(names)


@lru_cache(maxsize=64)
def _names_in(folder: str, *stamp: int) -> frozenset[str] | None:
    """Return the names of the distributions that a folder shows; None if that may not be all.

    Args:
        folder: Its path.
        stamp: When it was changed, and which folder it is; importlib.metadata goes by the first, too.

    Raises:
        OSError: if it cannot be listed.
    """
    entries = os.listdir(folder)
    if "EGG-INFO" in entries:  # the folder is a distribution, whose name is not in it
        return None
    # As importlib.metadata.Lookup reads them: `a_b-1.0.dist-info`.
    stems = (os.path.splitext(entry)[0] for entry in entries if entry.lower().endswith(_METADATA))
    return frozenset(normalised(stem.partition("-")[0]) for stem in stems)


def _version_of(distribution: importlib.metadata.Distribution) -> str | None:
    """Return the version that the metadata gives, without parsing all that lies around it.

    Not `Distribution.version`, which since Python 3.12 warns of a distribution that has none.
    """
    for file in ("METADATA", "PKG-INFO", ""):  # as `Distribution.metadata` looks for it
        if text := distribution.read_text(file):
            found = _VERSION.search(text.partition("\n\n")[0])
            return None if found is None else found[1]
    return None
