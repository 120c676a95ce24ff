"""Which open cases an object comes from, and that no library comes from two places."""

from __future__ import annotations

import filecmp
import os
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wardian.capture.homes import is_captured
from wardian.domain.live_names import MountName, is_live, mount_of, original_name
from wardian.domain.modules import ModuleKind
from wardian.domain.names import ModuleName, top_level
from wardian.domain.packed_origin import PackedOrigin
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module, is_module, variables_of
from wardian.errors import PlanError, Problem
from wardian.loading.closing.closed import ClosedModuleName, how_to_load
from wardian.loading.importing.mount import Mount
from wardian.loading.open_mounts import closed_path, get_mount
from wardian.packing.drafting.packed_case import packed_origin
from wardian.pickling.reducers.row import RefusedError

__all__ = ["Origins", "refuse_closed"]


def refuse_closed(obj: Any) -> None:
    """Refuse a class, function or module of a case that was closed: its sources are not at hand any more.

    Raises:
        RefusedError: which says what to load again.
    """
    for part in obj.__mro__ if isinstance(obj, type) else (obj,):
        closed = next(filter(None, map(_closed, _modules_said_by(part))), None)
        if closed is not None:
            path, call = closed
            name = part.__name__ if is_module(part) else _full_name(part)
            base = "" if part is obj else f"{_full_name(obj)} is derived from "
            raise RefusedError(
                f"{base}{original_name(name)} of {path}, a case that was closed in this process",
                f"load it again, and close the case after it is packed: {call}",
            )


def _full_name(obj: type | types.FunctionType) -> str:
    return original_name(f"{obj.__module__}.{obj.__qualname__}")


def _modules_said_by(obj: Any) -> Iterator[Any]:
    if is_module(obj):
        yield variables_of(obj).get("__name__")  # a package that waits goes on waiting
    else:
        yield obj.__module__
    if isinstance(obj, types.FunctionType):
        yield obj.__globals__.get("__name__")


def _closed(module: Any) -> tuple[str, str] | None:
    """Return the file of a module's case, and how to load it, if it was closed since; else None.

    Args:
        module: Full name of the module, as a class, function or module has it.
    """
    if isinstance(module, ClosedModuleName):
        return module.path, module.call
    if not is_live(module):
        return None
    mount = mount_of(module)
    path = closed_path(mount)
    return None if path is None else (path, how_to_load(path, shared=MountName.parse(mount).is_shared))


@dataclass(slots=True)
class Origins:
    """Note, while pickles are made, where the classes and functions they name come from.

    Calling it returns the original name of a module; it is what pickling takes for `rename`.
    """

    _installed: set[ModuleName] = field(default_factory=set)
    """Top-level names of modules of the environment."""
    _roots: dict[str, Mount] = field(default_factory=dict)
    _packed: list[PackedOrigin] = field(default_factory=list)

    def __call__(self, module: str) -> ModuleName:
        """Return the original name of *module*, and note where it comes from."""
        name = original_name(module)
        if is_live(module):
            mount = get_mount(mount_of(module))
            if mount is not None:
                self._roots.setdefault(mount.name, mount)
        else:
            self._installed.add(top_level(name))
        return name

    def resolve(self) -> tuple[PackedOrigin, ...]:
        """Return the open cases that were met.

        Raises:
            PlanError: if a library comes from two of them, or from one and the environment, in different
                versions; `problems` names them.
        """
        known = {origin.module_prefix for origin in self._packed}
        for name, mount in self._roots.items():
            if f"{name}." not in known:
                self._packed.append(packed_origin(mount))
        problems = [*self._twice_packed(), *self._packed_and_installed()]
        if problems:
            raise PlanError("a library comes from two places", problems=problems)
        return tuple(
            replace(origin, mixed=frozenset(self._installed & origin.roots)) for origin in self._packed
        )

    def roots(self) -> tuple[Mount, ...]:
        """Return the mounts that were met.

        Raises:
            PlanError: as for `resolve`.
        """
        self.resolve()
        return tuple(self._roots.values())

    def changes(self) -> Iterator[tuple[types.ModuleType | type, str]]:
        """Yield what the cases set in their modules when they were loaded: module or class, and name."""
        for mount in self._roots.values():
            for top in filter(is_captured, sorted(mount.contents.top_levels)):
                runtime = sys.modules.get(f"{mount.name}.{top}")
                yield from list(getattr(runtime, "changed", ()))

    def is_of_open_case(self, module: str) -> bool:
        """Tell whether *module*, by its full name, is one of an open case that was met."""
        return any(module.startswith(f"{mount.name}.") for mount in self._roots.values())

    def packs(self, module: str) -> bool:
        """Tell whether *module*, by its original name, is of a package of an open case that was met."""
        return any(mount.contents.packs_top_level_of(module) for mount in self._roots.values())

    def find_global(self, module: str, qualname: str) -> Any:
        """Return a class or function by its original name: of an open case, else of the environment."""
        for mount in self._roots.values():
            if mount.contents.packs_top_level_of(module) and mount.contents.has_module(module):
                return mount.find_global(module, qualname)
        return _find_installed(module, qualname)

    def _twice_packed(self) -> list[Problem]:
        problems = []
        for number, origin in enumerate(self._packed):
            for other in self._packed[:number]:
                for top in sorted(origin.roots & other.roots):
                    if not is_captured(top) and _differ(_sources(origin, top), _sources(other, top)):
                        what = f"{top} comes from {_place(other, top)} and from {_place(origin, top)}"
                        problems.append(Problem(what, "pack the two objects into cases of their own", top))
        return problems

    def _packed_and_installed(self) -> list[Problem]:
        problems = []
        distributions = Distributions.current()
        for origin in self._packed:
            for top in sorted(self._installed & origin.roots):
                facts = find_module(ModuleName(top), distributions)
                mine = origin.modules.get(ModuleName(top))
                if facts.kind is ModuleKind.MISSING or mine is None or is_captured(top):
                    continue
                version = distributions[facts.distribution].version if facts.distribution else None
                packed = origin.versions.get(mine.distribution or "")
                own = _sources(origin, top)
                places = ((name, find_module(name, distributions)) for name in own)
                here = {name: found.file for name, found in places if found.kind is ModuleKind.SOURCE}
                differing = _differ(own, here)
                if version != packed or differing:
                    place = f"{top} {version}" if version else str(differing or facts.file)
                    what = f"{top} comes from {_place(origin, top)} and from the environment ({place})"
                    fix = f"take every object from one of them, or install {top} {packed or 'as it was'}"
                    problems.append(Problem(what, fix, top))
        return problems


def _find_installed(module: str, qualname: str) -> Any:
    import importlib

    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def _place(origin: PackedOrigin, top: str) -> str:
    facts = origin.modules.get(ModuleName(top))
    version = origin.versions.get((facts.distribution if facts else None) or "")
    return f"{origin.path} ({top} {version})" if version else origin.path


def _sources(origin: PackedOrigin, top: str) -> dict[ModuleName, str]:
    """Return the files of the modules that an open case has below *top*."""
    return {
        name: facts.file
        for name, facts in origin.modules.items()
        if top_level(name) == top and facts.kind is ModuleKind.SOURCE and facts.file is not None
    }


def _differ(one: Mapping[ModuleName, str], other: Mapping[ModuleName, str | None]) -> str | None:
    """Return the first file in *other* that is not as it is in *one*; what only one of them has may be.

    Of the user's own code a case has what its object needs.
    """
    for name in sorted(one.keys() & other.keys()):
        file = other[name]
        # A module may outlive its file.
        if file is not None and os.path.isfile(file) and not filecmp.cmp(one[name], file, shallow=False):
            return file
    return None
