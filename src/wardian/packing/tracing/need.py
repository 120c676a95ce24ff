"""Code by need: which modules of the distributions that it uses an object can reach (docs/design/need.md).

Followed are all imports that the sources show, wherever they stand: the run shows what is imported for the
inputs, and methods that the inputs did not reach import the rest. Pure but for what a `Stock` reads.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from wardian.domain.graph import Import, ImportContext, sorted_imports
from wardian.domain.names import ModuleName, ancestors, is_module_name, top_level
from wardian.domain.source_facts import SourceFacts
from wardian.memory import Memory

__all__ = [
    "Reach",
    "SMALL_FILE",
    "SMALL_PACKAGE",
    "Stock",
    "StockedModule",
    "find_mentioned_data",
    "find_reached",
    "names_in",
]

SMALL_PACKAGE = 1 << 20
"""Bytes of source up to which a package is taken whole of which code computes the names of modules."""

SMALL_FILE = 16 << 10
"""Bytes up to which a data file beside a packed package comes along without being named by packed code."""

_DEFINED = re.compile(rb"\n(?:class |def |async def )?([A-Za-z_]\w*)")
_DOTTED = re.compile(rb"""["']([A-Za-z_]\w*(?:\.\w+)+)["':]""")
_MODULE_IMPORT = rb"import[ \t]+%s(?:[ \t]+as[ \t]+(\w+))?[ \t]*(?:$|[,;#])"
# Both begin with a character: a search for the beginnings of lines takes several times as long.


@dataclass(frozen=True, slots=True)
class StockedModule:
    """A module that may come along."""

    distribution: str
    path: str
    size: int
    """Size of its source in bytes."""
    is_package: bool


class Stock(Protocol):
    """The modules of the distributions that are packed, and their sources."""

    @property
    def modules(self) -> Mapping[ModuleName, StockedModule]:
        """All of them by name."""

    def facts(self, name: ModuleName) -> SourceFacts | None:
        """Return what the source of a module shows, also of one that is no part of the stock."""

    def source(self, name: ModuleName) -> bytes:
        """Return the source of a module of the stock; nothing if it cannot be read."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The modules that code can reach.

    Attributes:
        modules: Those of the stock.
        edges: Imports that lead there and that are not among the facts' `imports`.
    """

    modules: frozenset[ModuleName]
    edges: tuple[Import, ...]


def find_reached(seeds: Iterable[ModuleName], ran: frozenset[ModuleName], stock: Stock) -> Reach:
    """Find the modules of *stock* that code of *seeds* can import, directly or by others.

    Args:
        seeds: Modules that run or may run, also of the user's.
        ran: Those that were imported in the run. What a lazy package imports under a condition it imported
            then, or imports when a name is asked of it, and then the name leads there.
        stock: Where the modules are.

    Returns:
        The modules, those of *seeds* among them, and how they are reached.
    """
    return _Search(stock, ran).run(seeds)


class _Search:
    def __init__(self, stock: Stock, ran: frozenset[ModuleName]) -> None:
        self._stock = stock
        self._ran = ran
        self._edges: list[Import] = []
        self._queue: list[ModuleName] = []
        self._lazy: dict[ModuleName, bool] = {}
        self._defined: dict[ModuleName, dict[bytes, list[ModuleName]]] = {}
        self._digests: dict[ModuleName, bytes] = {}

    def run(self, seeds: Iterable[ModuleName]) -> Reach:
        reached: set[ModuleName] = set()
        self._queue = sorted(seeds)
        while self._queue:
            name = self._queue.pop()
            if name in reached:
                continue
            reached.add(name)
            self._queue += [above for above in ancestors(name) if above in self._stock.modules]
            facts = self._stock.facts(name)
            if facts is not None:
                self._follow(name, facts)
        return Reach(frozenset(reached & self._stock.modules.keys()), sorted_imports(self._edges))

    def _follow(self, name: ModuleName, facts: SourceFacts) -> None:
        modules = self._stock.modules
        # One that is lazy under a condition may take another branch elsewhere: where less is installed.
        always = any(e.imported == name and e.context is not ImportContext.GUARDED for e in facts.walks)
        waits = name in self._ran and self._is_lazy(name) and always
        for edge in facts.imports:
            if _never(edge, waits=waits) or edge.imported not in modules:
                continue
            self._queue.append(edge.imported)
            if self._is_lazy(edge.imported) and name in modules:
                for asked in self._asked_of(name, edge.imported):
                    self._resolve(replace(edge, imported=ModuleName(f"{edge.imported}.{asked}")))
        for edge in facts.candidates:
            if not _never(edge, waits=waits):
                self._resolve(edge)
        for edge in facts.walks:
            if edge.imported != name and edge.context is not ImportContext.TYPE_CHECKING:
                for child in self._children(edge.imported):
                    self._take(edge, child)
        if name in modules:
            for text in _names_once(self._digest(name), self._stock.source(name)):
                found = self.named(text)
                if found is not None:
                    self._take(Import(name, found, 0, ImportContext.FUNCTION, modules[name].path), found)

    def _take(self, edge: Import, found: ModuleName) -> None:
        self._edges.append(replace(edge, imported=found))
        self._queue.append(found)

    def _resolve(self, edge: Import) -> None:
        """Follow `from package import name`, which is a module, or what a lazy package fetches from one."""
        if edge.imported in self._stock.modules:
            self._take(edge, edge.imported)
            return
        package, _, asked = edge.imported.rpartition(".")
        if self._is_lazy(ModuleName(package)):
            for found in self._definers(ModuleName(package), asked):
                self._take(edge, found)

    def named(self, text: str) -> ModuleName | None:
        """Return the module that a dotted text names, or of which it names something."""
        name = ModuleName(text)
        if top_level(name) not in self._tops:
            return None
        return next(
            (n for n in (name, *reversed([*ancestors(name)])) if "." in n and n in self._stock.modules), None
        )

    @cached_property
    def _tops(self) -> frozenset[str]:
        return frozenset(map(top_level, self._stock.modules))

    def _is_lazy(self, name: ModuleName) -> bool:
        """Tell whether a package imports what is asked of it when it is asked: `def __getattr__(name)`."""
        known = self._lazy.get(name)
        if known is None:
            module = self._stock.modules.get(name)
            known = False
            if module is not None and module.is_package:
                facts = self._stock.facts(name)
                known = facts is not None and any(edge.imported == name for edge in facts.walks)
            self._lazy[name] = known
        return known

    def _definers(self, package: ModuleName, asked: str) -> list[ModuleName]:
        """Return the modules below a lazy package that define a name, none if the package does itself."""
        found = self._definitions(top_level(package)).get(asked.encode(), [])
        return [] if package in found else [name for name in found if name.startswith(f"{package}.")]

    def _definitions(self, top: ModuleName) -> Mapping[bytes, list[ModuleName]]:
        """Return the modules below a top-level name by what they define at module level."""
        known = self._defined.get(top)
        if known is None:
            known = self._defined[top] = {}
            for name in sorted(self._stock.modules):
                if top_level(name) == top:
                    for defined in _defined_in(self._digest(name), self._stock.source(name)):
                        known.setdefault(defined, []).append(name)
        return known

    def _asked_of(self, importer: ModuleName, package: ModuleName) -> set[str]:
        """Return the attributes of a package that the text of a module asks for: `package.name`."""
        source = self._stock.source(importer)
        asked: set[str] = set()
        if package.encode() not in source:  # a relative import, which binds no such name
            return asked
        for match in re.finditer(_MODULE_IMPORT % re.escape(package.encode()), source, re.MULTILINE):
            if source[source.rfind(b"\n", 0, match.start()) + 1 : match.start()].strip(b" \t"):
                continue  # not the beginning of a line
            bound = re.escape(match[1] or package.encode())
            asked.update(
                found.decode() for found in re.findall(rb"\b" + bound + rb"\.([A-Za-z_]\w*)", source)
            )
        return asked

    def _digest(self, name: ModuleName) -> bytes:
        """Return the digest of the source of a module, under which is known what was found in it."""
        known = self._digests.get(name)
        if known is None:
            known = self._digests[name] = hashlib.sha256(self._stock.source(name)).digest()
        return known

    def _children(self, package: ModuleName) -> list[ModuleName]:
        """Return the modules of a small package of which code computes the names."""
        below = [name for name in self._stock.modules if name.startswith(f"{package}.")]
        if sum(self._stock.modules[name].size for name in below) > SMALL_PACKAGE:
            return []
        return sorted(name for name in below if name.rpartition(".")[0] == package)


def _never(edge: Import, *, waits: bool) -> bool:
    conditional = edge.context in (ImportContext.GUARDED, ImportContext.FUNCTION)
    return edge.context is ImportContext.TYPE_CHECKING or (waits and conditional)


# A library says the same in the next pack. transformers has 2,860 modules, which define 60,000 names.
_definitions: Memory[frozenset[bytes]] = Memory(limit=64 << 20)
_names: Memory[frozenset[str]] = Memory(limit=16 << 20)


def _defined_in(digest: bytes, source: bytes) -> frozenset[bytes]:
    """Return the names that a source, of which the digest is given, defines at module level."""

    def make() -> tuple[frozenset[bytes], int]:
        found = frozenset(_DEFINED.findall(b"\n" + source))
        return found, sum(map(sys.getsizeof, found))

    return _definitions.get(digest, make)


def _names_once(digest: bytes, source: bytes) -> frozenset[str]:
    """Return what `names_in` yields of a source, of which the digest is given."""

    def make() -> tuple[frozenset[str], int]:
        found = frozenset(names_in(source))
        return found, sys.getsizeof(found) + sum(map(sys.getsizeof, found))

    return _names.get(digest, make)


def names_in(source: bytes) -> Iterator[str]:
    r"""Yield the dotted names that stand in a source as texts: those of classes in tables, of plugins.

    >>> list(names_in(b"TABLE = {'oak': 'timberlib.oak.Oak'}"))
    ['timberlib.oak.Oak']
    """
    for found in set(_DOTTED.findall(source)):
        text = found.decode()
        if is_module_name(text):
            yield text


def find_mentioned_data(data: Iterable[tuple[str, int]], sources: Iterable[bytes]) -> frozenset[str]:
    """Find the data files that are small, or that one of *sources* mentions by the name of file or folder.

    Args:
        data: Record name and size in bytes of each file.
        sources: Of the modules of its distribution that are packed.

    >>> data = [("oak/rings.bin", 1 << 20), ("oak/bark.bin", 1 << 20)]
    >>> sorted(find_mentioned_data(data, [b"open('rings.bin')"]))
    ['oak/rings.bin']
    """
    text = b"\n".join(sources)
    found: set[str] = set()
    for record, size in data:
        *folders, name = record.split("/")
        folder = folders[-1] if len(folders) > 1 else ""
        quoted = [f"{quote}{folder}{end}" for quote in "\"'/" for end in "\"'/"] if folder else []
        if size <= SMALL_FILE or name.encode() in text or any(form.encode() in text for form in quoted):
            found.add(record)
    return frozenset(found)
