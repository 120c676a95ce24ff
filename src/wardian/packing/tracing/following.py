"""Follow imports from what an object uses to all that it may need."""

from __future__ import annotations

import configparser
import contextlib
import marshal
import os
import re
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wardian.capture.synthesis import CapturedModule
from wardian.domain.graph import Import, ImportContext
from wardian.domain.live_names import is_live
from wardian.domain.modules import TORCH, ModuleFacts, ModuleKind, is_always_there
from wardian.domain.names import (
    ModuleName,
    ancestors,
    is_module_name,
    top_level,
)
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.source_facts import SourceFacts
from wardian.domain.trace import DistributionFacts, Evidence
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module
from wardian.source.bytecode import scan_code
from wardian.source.remembered import scan_once
from wardian.source.scanning import scan

__all__ = ["Follower", "plugins_of"]


class Follower:
    """The modules that were met so far, their imports, and what lies behind each name.

    Args:
        evidence: What the run of the object has shown.
        captured: Modules that were made for code that no import finds.
        origins: Open cases whose modules the object uses.
        named: Modules that the pickle names.
    """

    def __init__(
        self,
        evidence: Evidence,
        captured: Mapping[ModuleName, CapturedModule],
        origins: Sequence[PackedOrigin],
        named: Container[ModuleName],
    ) -> None:
        self.captured = captured
        self._named = named
        self.origins = origins
        self.evidence = evidence
        self.distributions = Distributions.current()
        self.torch_closure = self.distributions.closure(TORCH)
        self.modules: dict[ModuleName, ModuleFacts] = {}
        self.facts: dict[ModuleName, SourceFacts] = {}
        self.edges: list[Import] = []
        self.compiled: dict[str, set[str]] = {}

    def add(self, name: ModuleName) -> ModuleFacts | None:
        """Look *name* and the packages above it up; None for what is always there and what is not there."""
        if name in self.modules:
            return self.modules[name]
        if is_always_there(name):
            return None
        if name in self.captured:
            module = self.captured[name]
            found = ModuleFacts(name, ModuleKind.SOURCE, module.file, module.is_package)
        else:
            found = self._find(name)
        if found.kind is ModuleKind.MISSING or self._is_generated(found):
            return None
        self.modules[name] = found
        if found.kind is ModuleKind.EXTENSION and found.distribution is not None:
            self.compiled.setdefault(found.distribution, set()).add(name)
        for ancestor in ancestors(name):
            self.add(ancestor)
        return found

    def origin_of(self, name: str) -> PackedOrigin | None:
        """Return the open case that modules of this top-level name come from, or None."""
        top = top_level(name)
        return next((origin for origin in self.origins if top in origin.roots), None)

    def own_name(self, name: str) -> ModuleName | None:
        """Return the original name of a module that was seen; None for what no object needs."""
        if not is_live(name):
            return ModuleName(name) if top_level(name) != "wardian" else None
        return next((own for origin in self.origins if (own := origin.original(name)) is not None), None)

    def _find(self, name: ModuleName) -> ModuleFacts:
        places = [origin for origin in self.origins if top_level(name) in origin.roots]
        for origin in places:
            if name in origin.modules:
                return origin.modules[name]
        if not places:
            return find_module(name, self.distributions)
        # The user's package may have grown since the case was made, a library not.
        if any(top_level(name) in origin.mixed for origin in places):
            found = find_module(name, self.distributions)
            if not any(found.distribution in origin.versions for origin in places):
                return found
        return ModuleFacts(name, ModuleKind.MISSING)

    def _is_generated(self, found: ModuleFacts) -> bool:
        """Tell whether a library made the module in the run, in a folder of its own, under its own name.

        It will make it again: torch_geometric renders the code of its message passing so. It is needed if the
        object holds something of it.
        """
        if found.file is None or found.distribution is not None or found.name in self._named:
            return False
        package = self.add(top_level(found.name)) if "." in found.name else None
        return (
            package is not None
            and package.distribution is not None
            and package.file is not None
            and not found.file.startswith(os.path.dirname(package.file) + os.sep)
        )

    def add_libraries(self, libraries: Iterable[str], operators: frozenset[str]) -> None:
        """Note whose shared libraries are loaded."""
        for owner, files in self.distributions.owners_of_libraries(libraries, operators).items():
            self.compiled.setdefault(owner, set()).update(files)

    def may_be_packed(self, found: ModuleFacts) -> bool:
        """Tell whether a module has code, and no compiled library that keeps its distribution outside."""
        return (
            found.kind in (ModuleKind.SOURCE, ModuleKind.BYTECODE)
            and found.distribution not in self.torch_closure
            and (found.distribution not in self.compiled or self.origin_of(found.name) is not None)
        )

    def scan(self, found: ModuleFacts) -> SourceFacts | None:
        """Scan the source of a module once."""
        if found.name in self.captured and found.name not in self.facts:
            return self.scan_captured(self.captured[found.name])
        if found.kind is ModuleKind.BYTECODE and found.file is not None and found.name not in self.facts:
            return self.scan_bytecode(found, found.file)
        if found.name in self.facts or found.file is None or found.kind is not ModuleKind.SOURCE:
            return self.facts.get(found.name)
        try:
            source = Path(found.file).read_bytes()
            library = None if found.distribution is None else top_level(found.name)
            facts = scan_once(
                source, found.name, is_package=found.is_package, file=found.file, library=library
            )
        except (OSError, SyntaxError):
            # A module that was never imported may be for another Python; the import will tell.
            return None
        self.facts[found.name] = facts
        self.edges.extend(facts.imports)
        return facts

    def scan_captured(self, module: CapturedModule) -> SourceFacts:
        """Scan a synthesised module; its imports are told with the user's file and line."""
        facts = scan(
            module.source.encode(), module.name, is_package=module.is_package, file=module.file or ""
        )

        def original(edge: Import) -> Import:
            file, line = module.origins[edge.line - 1] if edge.line <= len(module.origins) else ("", 0)
            return replace(edge, file=file, line=line) if file else edge

        facts = replace(
            facts,
            imports=tuple(map(original, facts.imports)),
            candidates=tuple(map(original, facts.candidates)),
        )
        self.facts[module.name] = facts
        self.edges.extend(facts.imports)
        return facts

    def scan_bytecode(self, found: ModuleFacts, file: str) -> SourceFacts | None:
        """Scan the bytecode of a module without source."""
        try:
            code = marshal.loads(Path(file).read_bytes()[16:])  # noqa: S302
        except (OSError, ValueError, EOFError, TypeError):
            return None
        facts = scan_code(code, found.name, is_package=found.is_package, file=file)
        self.facts[found.name] = facts
        self.edges.extend(facts.imports)
        return facts

    def follow(self, seeds: Iterable[ModuleName], loaded: frozenset[str] | None) -> set[ModuleName]:
        """Scan from *seeds* on along imports.

        Args:
            seeds: Where to begin.
            loaded: Modules that imports are followed to beside first-party code; None follows to that only.

        Returns:
            The modules that were reached.
        """
        reached: set[ModuleName] = set()
        queue = list(seeds)
        while queue:
            name = queue.pop()
            if name in reached:
                continue
            found = self.add(name)
            if found is None:
                continue
            reached.add(name)
            queue.extend(ancestors(name))
            if not self.may_be_packed(found):
                continue
            facts = self.scan(found)
            if facts is None:
                continue
            for edge in facts.imports + facts.candidates:
                if edge.context is ImportContext.TYPE_CHECKING:
                    continue
                if edge.imported in (self.modules if loaded is None else loaded):
                    target = self.add(edge.imported)
                elif is_always_there(edge.imported) or top_level(edge.imported) == TORCH:
                    continue
                else:
                    target = self.add_first_party(edge)
                if target is None:
                    continue
                if edge in facts.candidates:
                    self.edges.append(edge)
                if (loaded is not None and edge.imported in loaded) or target.distribution is None:
                    queue.append(edge.imported)
            for edge in facts.walks:
                if edge.context is not ImportContext.TYPE_CHECKING:
                    for child in self.children(edge):
                        self.edges.append(replace(edge, imported=child))
                        queue.append(child)
        return reached

    def children(self, edge: Import) -> list[ModuleName]:
        """Return the modules of a first-party package that code may import by names it computes."""
        package = self.add_first_party(edge)
        if package is None or package.distribution is not None or not package.is_package:
            return []
        origin = self.origin_of(package.name)
        if origin is not None:
            names = {name for name in origin.modules if name.rpartition(".")[0] == package.name}
        else:
            folder = (
                package.file if package.kind is ModuleKind.NAMESPACE else os.path.dirname(package.file or "")
            )
            try:
                files = os.listdir(folder or "")
            except OSError:
                return []
            stems = {file.removesuffix(".py") for file in files if file.endswith(".py")}
            stems |= {
                file for file in files if os.path.isfile(os.path.join(folder or "", file, "__init__.py"))
            }
            names = {ModuleName(f"{package.name}.{stem}") for stem in stems - {"__init__", "__main__"}}
        return [
            name
            for name in sorted(names)
            if is_module_name(name)
            and (found := self.add_first_party(replace(edge, imported=name))) is not None
            if found.distribution is None
        ]

    def add_mentioned(self, entry: str, texts: Collection[str]) -> set[ModuleName]:
        """Add first-party modules that texts of the object name: `{"_target_": "shop.heads.Linear"}`."""
        added: set[ModuleName] = set()
        # Names of weights look the same, `layer1.weight`, and there may be very many.
        tops = {top_level(text) for text in texts} & self._names_to_import()
        own = {
            top
            for top in map(ModuleName, tops)
            if not (is_always_there(top) or self.distributions.providing(top))
            and self._find(top).kind is not ModuleKind.MISSING
        }
        named = (text for text in texts if top_level(text) in own)
        for text in sorted(filter(is_module_name, named)):
            for name in (ModuleName(text), *reversed([*ancestors(ModuleName(text))])):
                found = self.modules.get(name) or self._find(name)
                if found.kind is ModuleKind.MISSING:
                    continue
                member = text[len(name) + 1 :].partition(".")[0]
                edge = Import(ModuleName(entry), name, 0, ImportContext.PICKLED)
                if name not in self.modules and _defines(found, member) and self.add_first_party(edge):
                    self.edges.append(edge)
                    added.add(name)
                break
        return added

    def _names_to_import(self) -> set[str]:
        """Return what top-level names an import may find, and others: what lies on `sys.path`."""
        names: set[str] = {top_level(name) for name in list(sys.modules)}
        names = names.union(*(origin.roots for origin in self.origins))
        for entry in sys.path:
            with contextlib.suppress(OSError):  # it is not there, or no folder
                names |= {file.partition(".")[0] for file in os.listdir(entry or os.curdir)}
        return names

    def add_first_party(self, edge: Import) -> ModuleFacts | None:
        """Add a module that an import names if it is there and of no distribution; else return None."""
        known = self.modules.get(edge.imported)
        if known is not None:
            return known
        if edge.imported in self.captured:  # which generated code imports, and the pickle need not name
            return self.add(edge.imported)
        top = top_level(edge.imported)
        above = self.modules.get(top)
        if above is None and self.distributions.providing(top):
            return None
        if above is not None and above.distribution is not None and above.kind is not ModuleKind.NAMESPACE:
            return None
        found = self._find(edge.imported)
        if found.kind is ModuleKind.MISSING or found.distribution is not None:
            return None
        return self.add(edge.imported)


def plugins_of(found: DistributionFacts) -> Iterator[ModuleName]:
    """Yield the modules that the entry points of a distribution name, but for those of commands."""
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    with contextlib.suppress(configparser.Error):
        points.read_string(found.metadata.get("entry_points.txt", b"").decode("utf-8", "replace"))
    for group in points.sections():
        if group not in ("console_scripts", "gui_scripts"):
            yield from (ModuleName(value.partition(":")[0].strip()) for value in points[group].values())


def _defines(found: ModuleFacts, name: str) -> bool:
    """Tell whether a module has a function, class or import of this name; "train.py" is no name of one."""
    if not name or found.file is None or found.kind is not ModuleKind.SOURCE:
        return not name
    try:
        source = Path(found.file).read_bytes()
    except OSError:
        return False
    word = re.escape(name.encode())
    return (
        re.search(
            rb"^(class |(async )?def |.*\bimport\b.*\b|\s+)?" + word + rb"\b(?!\.)", source, re.MULTILINE
        )
        is not None
    )
