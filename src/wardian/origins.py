"""Which open cases an object comes from, and that no library comes from two places."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wardian.environment import Distributions, ModuleKind, PackedOrigin, find_module
from wardian.errors import PlanError, Problem
from wardian.live.origin import packed_origin
from wardian.live.root import Root, get_root
from wardian.names import LIVE_PREFIX, ModuleName, original_name, top_level

__all__ = ["Origins"]


@dataclass(slots=True)
class Origins:
    """Note, while pickles are made, where the classes and functions they name come from.

    Calling it returns the original name of a module; it is what pickling takes for `rename`.
    """

    _installed: set[ModuleName] = field(default_factory=set)
    """Top-level names of modules of the environment."""
    _roots: dict[str, Root] = field(default_factory=dict)
    _packed: list[PackedOrigin] = field(default_factory=list)

    def __call__(self, module: str) -> ModuleName:
        """Return the original name of *module*, and note where it comes from."""
        name = original_name(module)
        if module.startswith(LIVE_PREFIX):
            root = get_root(module.split(".")[2])
            if root is not None:
                self._roots.setdefault(root.name, root)
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
        for name, root in self._roots.items():
            if f"{name}." not in known:
                self._packed.append(packed_origin(root))
        problems = [*self._twice_packed(), *self._packed_and_installed()]
        if problems:
            raise PlanError("a library comes from two places", problems=problems)
        return tuple(self._packed)

    def roots(self) -> tuple[Root, ...]:
        """Return the roots of the open cases that were met.

        Raises:
            PlanError: as for `resolve`.
        """
        self.resolve()
        return tuple(self._roots.values())

    def met(self, module: str) -> bool:
        """Tell whether *module*, by its full name, is one of an open case that was met."""
        return any(module.startswith(f"{root.name}.") for root in self._roots.values())

    def packs(self, module: str) -> bool:
        """Tell whether *module* is one of an open case that was met."""
        return any(root.packs(module) for root in self._roots.values())

    def find_global(self, module: str, qualname: str) -> Any:
        """Return a class or function by its original name: of an open case, else of the environment."""
        for root in self._roots.values():
            if root.packs(module):
                return root.find_global(module, qualname)
        return _find_installed(module, qualname)

    def _twice_packed(self) -> list[Problem]:
        problems = []
        for number, origin in enumerate(self._packed):
            for other in self._packed[:number]:
                for top in sorted(origin.roots & other.roots):
                    if _content(origin, top) != _content(other, top):
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
                if facts.kind is ModuleKind.MISSING or mine is None:
                    continue
                version = distributions[facts.distribution].version if facts.distribution else None
                packed = origin.versions.get(mine.distribution or "")
                if version != packed or (version is None and not _same_source(mine.file, facts.file)):
                    place = f"{top} {version}" if version else str(facts.file)
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


def _content(origin: PackedOrigin, top: str) -> dict[str, bytes]:
    return {
        name: Path(facts.file).read_bytes()
        for name, facts in origin.modules.items()
        if top_level(name) == top and facts.kind is ModuleKind.SOURCE and facts.file is not None
    }


def _same_source(one: str | None, other: str | None) -> bool:
    if one is None or other is None or not Path(one).is_file() or not Path(other).is_file():
        return one == other
    return Path(one).read_bytes() == Path(other).read_bytes()
