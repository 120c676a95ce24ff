"""A fence around a proof: only what the plan asks of the receiver can be found."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from wardian.domain.manifest import Extern, Manifest
from wardian.domain.modules import is_stdlib
from wardian.domain.names import normalised, top_level
from wardian.environment.distributions import Distributions

__all__ = ["Filter", "OWN", "allowed_distributions", "find_installed", "speaks_of", "spoken_of"]


OWN = ("wardian", "torch", "blake3", "packaging", "platformdirs")


def allowed_distributions(externs: Sequence[Extern], also: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return what may be imported: the externs that are not soft, what they require, Wardian itself.

    Soft externs that only some builds of torch require may not, though this one does.
    """
    installed = Distributions.current()
    hard = [extern for extern in externs if not extern.soft]
    names = {*OWN, *also, *(e.distribution for e in hard if e.distribution is not None)}
    distributions = {required for name in names for required in installed.closure(name)}
    in_some_builds = installed.closure("torch") - installed.closure("torch", everywhere=True)
    distributions -= in_some_builds & {extern.distribution for extern in externs if extern.soft}
    roots = {root for name in distributions for root in installed[name].roots}
    roots |= {top_level(module) for extern in hard for module in extern.modules}
    return {"distributions": sorted(distributions), "roots": sorted(roots | set(OWN))}


def find_installed(missing: Iterable[str], manifest: Manifest) -> tuple[Extern, ...]:
    """Return externs for what was missing in a proof, is installed here, and is of no packed distribution.

    PyTorch and other externs import some libraries when they need them, and do not require them.
    """
    known = {extern.distribution for extern in manifest.externs} | {d.name for d in manifest.distributions}
    hidden = {*manifest.roots, *manifest.absent}
    found: dict[str, Extern] = {}
    for top in sorted(set(missing) - hidden):
        for distribution in Distributions.current().providing(top)[:1]:
            if distribution.name not in known:
                found[distribution.name] = Extern(
                    distribution=distribution.name,
                    version=distribution.version,
                    modules=(top,),
                    names=(),
                    soft=False,
                )
    return tuple(found.values())


def spoken_of(hidden: Iterable[str], messages: Iterable[str]) -> frozenset[str]:
    """Return those top-level names that errors speak of, by themselves or by a distribution that has them.

    Who has noted that a library is not there raises later what it likes: `RuntimeError: install pillow`.

    Args:
        hidden: What code has asked for in vain.
        messages: Of the errors.
    """
    installed = Distributions.current()
    text = "\n".join(messages)
    return frozenset(
        top for top in hidden if speaks_of(text, {top, *(d.name for d in installed.providing(top))})
    )


def speaks_of(text: str, names: Iterable[str]) -> bool:
    """Tell whether one of some names is a word of a text.

    >>> speaks_of("Numpy is not available", ["numpy"]), speaks_of("numpydoc is", ["numpy"])
    (True, False)
    """
    words = "|".join(re.escape(name) for name in names)
    return re.search(rf"\b(?:{words})\b", text, re.IGNORECASE) is not None


_PATHS: Any = importlib.machinery.PathFinder


class Filter(importlib.abc.MetaPathFinder):
    """A finder that finds only what is allowed, and notes what it was asked for."""

    def __init__(self, finder: Any, allowed: Mapping[str, Sequence[str]]) -> None:
        self._finder = finder
        self.found: set[str] = set()
        self.hidden: set[str] = set()
        self.plugins: dict[str, bool] = {}
        """Whether plug-ins of PyTorch may be loaded, by their distributions."""
        self.allow(allowed)

    def allow(self, allowed: Mapping[str, Sequence[str]]) -> None:
        """Find from now on what is in the answer of `allowed_distributions`."""
        self._roots = frozenset(allowed["roots"])
        self._distributions = frozenset(allowed["distributions"])

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module as the wrapped finder does, if it is allowed; note whether it was."""
        top = top_level(fullname)
        spec: importlib.machinery.ModuleSpec | None = self._finder.find_spec(fullname, path, target)
        if spec is None or is_stdlib(top):
            return spec
        if top in self._roots:
            self.found.add(top)
            return spec
        if self._is_vendored(spec):
            return spec
        self.hidden.add(top)
        # Where it is not installed, a copy farther on is found.
        for entry in (sys.path if path is None else path) if self._finder is _PATHS else ():
            spec = self._finder.find_spec(fullname, [entry], target)
            if spec is not None and self._is_vendored(spec):
                return spec
        return None

    def _is_vendored(self, spec: importlib.machinery.ModuleSpec) -> bool:
        """Tell whether a module lies inside of an allowed package.

        Some put a folder of theirs on `sys.path`. setuptools does so with `_vendor`, and
        `torch.utils.cpp_extension` imports setuptools:
        https://github.com/pypa/setuptools/blob/v80.0.0/setuptools/__init__.py#L14
        """
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location else [])]
        return any(
            place.startswith(inside := os.path.join(entry, ""))
            and place[len(inside) :].partition(os.sep)[0] in self._roots
            for place in map(str, places)
            for entry in sys.path
        )

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        """Yield the metadata of allowed distributions, as `importlib.metadata` asks its finders."""
        find = getattr(self._finder, "find_distributions", None)
        for found in find(context) if find is not None else ():
            name = normalised(found.metadata["Name"] or "")
            if _PLUGINS in (found.read_text("entry_points.txt") or ""):
                self.plugins[name] = name in self._distributions
            if name in self._distributions:
                yield found


_PLUGINS = "[torch.backends]"
"""Entry points of distributions that PyTorch loads when it is imported."""
