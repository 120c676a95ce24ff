"""Which modules a package needs, and what its rules say about each: decided anew whenever it is asked.

`torch.package` follows imports only from interned modules, leaves packages above a module out unless they
are imported themselves, and runs nothing. So this is a walk of its own over the facts that the engine's
scanner finds, and decides while it walks; `wardian.packing.tracing` and `wardian.packing.planning.decide`
decide about whole distributions after a run.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.modules import TORCH, ModuleKind, is_stdlib
from wardian.domain.names import ModuleName, top_level
from wardian.domain.policy import Action, Policy, Rule
from wardian.domain.source_facts import SourceFacts
from wardian.package._digraph import DiGraph
from wardian.package._modules import FoundModule, exists, find, find_in, find_in_stdlib, stand_in_source
from wardian.package.find_file_dependencies import BEYOND, imports_of
from wardian.package.importer import Importer, leaves
from wardian.source.parsing import batch, parse
from wardian.source.scanning import scan

__all__ = [
    "Closure",
    "Member",
    "ModuleSaved",
    "PackagingErrorReason",
    "PickleSaved",
    "Saved",
    "Scans",
    "SourceSaved",
    "close_over",
]

OWN_MODULE = "torch_package_importer"
"""The name by which packed code imports its importer."""

ALWAYS_THERE = frozenset({"torch", "wardian"})
"""Packages that load a package, and so need not be in one."""

_MOCK_OF_TORCH = "_mock"


class PackagingErrorReason(Enum):
    """Why a module could not be packaged.

    Programs compare the text of a `PackagingError`, and so these values: they are part of the interface that
    this package takes over.
    """

    IS_EXTENSION_MODULE = "Module is a C extension module. wardian.package supports Python modules only."
    NO_DUNDER_FILE = "Module had no __file__ defined."
    SOURCE_FILE_NOT_FOUND = "Module had a __file__, but we could not find it in your filesystem."
    DEPENDENCY_RESOLUTION_FAILED = "Dependency resolution failed."
    NO_ACTION = "Module did not match against any action pattern. Extern, mock, or intern it."
    DENIED = "Module was denied by a pattern."
    MOCKED_BUT_STILL_USED = (
        "Module was mocked out, but is still being used in the package. Please intern or extern the mocked "
        "modules if objects are supposed to be in the package."
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}>"


@dataclass(frozen=True, slots=True)
class SourceSaved:
    """A module whose source the user gave."""

    module: ModuleName
    source: bytes
    is_package: bool
    dependencies: bool


@dataclass(frozen=True, slots=True)
class ModuleSaved:
    """A module that was named: to be interned, or as a dependency that the rules decide about."""

    module: ModuleName
    dependencies: bool
    intern: bool


@dataclass(frozen=True, slots=True)
class PickleSaved:
    """A pickle."""

    package: str
    resource: str
    globals: tuple[tuple[str, str], ...]
    modules: tuple[str, ...]
    dependencies: bool

    @property
    def node(self) -> str:
        """Its name in the graph."""
        return f"<{self.package}.{self.resource}>"


Saved = SourceSaved | ModuleSaved | PickleSaved


@dataclass(frozen=True, slots=True)
class Member:
    """One module of a package, or one that it takes from the environment."""

    module: ModuleName
    action: Action
    reason: str
    source: bytes | None = None
    """For interned and mocked modules; None for a package that is only a folder."""
    is_package: bool = False
    found: FoundModule | None = None
    scanned: bool = False
    """Whether its source was read, and so is known to be valid."""


@dataclass(slots=True)
class Closure:
    """The parts of a package.

    Attributes:
        graph: Modules and pickles, with the imports that led to them.
        members: By name, in the order in which they were reached.
        matched: Rules that decided about a module.
        absent: Top-level names that sources import and no importer has.
    """

    graph: DiGraph = field(default_factory=DiGraph)
    members: dict[ModuleName, Member] = field(default_factory=dict)
    matched: set[int] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)

    def names(self, action: Action) -> list[str]:
        """Return the modules with an action, sorted."""
        return sorted(
            name
            for name, node in self.graph.nodes.items()
            if node.get("action") is action and (not node.get("is_pickle"))
        )

    def import_graph(self) -> ImportGraph:
        """Return the graph in the engine's form."""
        return ImportGraph(
            Import(ModuleName(u), ModuleName(v), 0, ImportContext.UNCONDITIONAL) for u, v in self.graph.edges
        )


def _place_of(member: Member) -> str:
    mount = None if member.found is None else member.found.mount
    return "this interpreter" if mount is None else f"the package {mount.archive.path or mount.name}"


class Scans:
    """Facts about sources, each found once."""

    def __init__(self, importer: Importer) -> None:
        self.importer = importer
        self._found: dict[ModuleName, FoundModule | None] = {}
        self._exists: dict[ModuleName, bool] = {}
        self._facts: dict[tuple[ModuleName, bytes, bool], SourceFacts | SyntaxError] = {}
        self.owners: dict[ModuleName, Importer] = {}
        """Modules that objects were pickled from, with the importer that has those objects."""

    def claim(self, name: ModuleName, leaf: Importer) -> Importer:
        """Note whose objects are of a module; return the importer of those that were saved before, if any."""
        if name not in self.owners:
            self.owners[name] = leaf
            self._found.clear()  # the rest of the library comes from there, too
            self._exists.clear()
        return self.owners[name]

    def _claimed(self, name: ModuleName) -> Importer | None:
        """Return the importer that objects of a library were saved from, if it is one."""
        top = top_level(name)
        claims = {id(leaf): leaf for known, leaf in self.owners.items() if top_level(known) == top}
        return next(iter(claims.values())) if len(claims) == 1 else None

    def find(self, name: ModuleName) -> FoundModule | None:
        """Return what the importers have under *name*."""
        if name not in self._found:
            owner = self.owners.get(name) or self._claimed(name)
            found = None if owner is None else find(owner, name)
            self._found[name] = found or find(self.importer, name)
        return self._found[name]

    def exists(self, name: ModuleName) -> bool:
        """Tell whether *name* is a module."""
        if name not in self._exists:
            self._exists[name] = not self._is_below_a_module(name) and exists(self.importer, name)
        return self._exists[name]

    def _is_below_a_module(self, name: ModuleName) -> bool:
        """Tell whether *name* cannot be a module, as most names that `from` imports cannot."""
        parent = ModuleName(name.rpartition(".")[0])
        if not parent or parent in sys.modules or name in sys.modules or is_stdlib(name):
            return False
        found = self.find(parent)
        return found is not None and not found.facts.is_package

    def imports(
        self, module: ModuleName, source: bytes, *, is_package: bool
    ) -> dict[tuple[str, str | None], None]:
        """Return what a source imports.

        Raises:
            SyntaxError: if it is not valid.
        """
        key = (module, source, is_package)
        facts = self._facts.get(key)
        if facts is None:
            file = module.replace(".", "/") + ".py"
            try:
                # Names such as `fx-generated._0` are no identifiers, and the scanner resolves against any.
                tree = parse(source, file)
                facts = scan(source, module, is_package=is_package, file=file, tree=tree)
                if facts.climbs_out:
                    facts = SyntaxError(BEYOND, (file, facts.climbs_out, None, None))
            except SyntaxError as error:
                facts = error
            self._facts[key] = facts
        if isinstance(facts, SyntaxError):
            raise facts
        return imports_of(facts)


def close_over(saved: Sequence[Saved], rules: Sequence[Rule], scans: Scans) -> Closure:
    """Follow imports from what was saved, and decide about each module that is reached.

    Args:
        saved: What the user saved, in order.
        rules: What the user declared, in order; the first that matches decides.
        scans: Facts found so far.
    """
    compiled: dict[str, ModuleName] = {}
    with batch():
        while True:
            known = set(compiled)
            walk = _Walk(rules, scans, compiled)
            walk.run(saved)
            if set(compiled) == known:
                walk.refuse_mixtures()
                return walk.closure


class _Walk:
    def __init__(self, rules: Sequence[Rule], scans: Scans, compiled: dict[str, ModuleName]) -> None:
        self.closure = Closure()
        self.graph = self.closure.graph
        self.rules = rules
        self.policy = Policy.ordered(rules)
        self.scans = scans
        self.compiled = compiled
        self.provided: dict[ModuleName, SourceSaved] = {}

    def run(self, saved: Sequence[Saved]) -> None:
        # What was saved by name counts, whether before or after the save that needs it; the last of one name.
        named = {
            item.module: item
            for item in saved
            if isinstance(item, SourceSaved) or (isinstance(item, ModuleSaved) and item.intern)
        }
        self.provided = {name: item for name, item in named.items() if isinstance(item, SourceSaved)}
        for item in saved:
            stack: list[Iterator[tuple[str | None, ModuleName]]] = [self.begin(item)]
            while stack:
                step = next(stack[-1], None)
                if step is None:
                    stack.pop()
                    continue
                importer, name = step
                if importer is not None:
                    self.graph.add_edge(importer, name)
                stack.append(self.decide_about(name))

    def begin(self, item: Saved) -> Iterator[tuple[str | None, ModuleName]]:
        match item:
            case SourceSaved():
                if self.provided.get(item.module) is item:
                    yield from self.add_source(item)
            case ModuleSaved(module=name, intern=True):
                if name not in self.provided:
                    yield from self.intern(name, "saved by name", follow=item.dependencies, by_rule=False)
            case ModuleSaved(module=name):
                yield from self.decide_about(name, follow=item.dependencies)
            case PickleSaved():
                self.graph.add_node(item.node, action=Action.INTERN, is_pickle=True)
                if item.dependencies:
                    yield from self.pickled(item)

    def pickled(self, item: PickleSaved) -> Iterator[tuple[str | None, ModuleName]]:
        names: dict[ModuleName, list[str]] = {ModuleName(module): [] for module in item.modules}
        for module, qualname in item.globals:
            names.setdefault(ModuleName(module), []).append(qualname)
        for module, qualnames in names.items():
            if qualnames and self.is_mocked(module):
                self.graph.add_edge(item.node, module)
                self.refuse(
                    module,
                    PackagingErrorReason.MOCKED_BUT_STILL_USED,
                    f"{', '.join(qualnames)} of `{module}` in resource `{item.resource}` of package "
                    f"`{item.package}`",
                    action=Action.MOCK,
                )
            else:
                yield item.node, module

    def is_mocked(self, name: ModuleName) -> bool:
        if name in self.provided or self.is_implicit(name):
            return False
        rule = self.policy.rule_for(name)
        return rule is not None and rule.action is Action.MOCK

    def is_implicit(self, name: ModuleName) -> bool:
        if is_stdlib(name):
            return name != "__main__"
        if top_level(name) in ALWAYS_THERE:
            return True
        found = self.scans.find(name)
        # Some modules of PyTorch have other top-level names, as functorch has.
        return found is not None and found.mount is None and found.facts.distribution == TORCH

    def decide_about(
        self, name: ModuleName, *, follow: bool = True
    ) -> Iterator[tuple[str | None, ModuleName]]:
        """Decide about a module; yield what it leads to."""
        if name in self.closure.members or self.graph.nodes.get(name, {}).get("error"):
            return
        if name in self.provided:
            yield from self.add_source(self.provided[name])
            return
        if name == OWN_MODULE:
            self.graph.add_node(name)
            return
        if (
            name == _MOCK_OF_TORCH
            and (found := self.scans.find(name)) is not None
            and found.mount is not None
        ):
            # What torch.package put into a package for its mocks comes along with them.
            yield from self.intern(name, "part of a package", follow=True, by_rule=False)
            return
        if self.is_implicit(name):
            self.add(Member(name, Action.EXTERN, "always there", found=self.scans.find(name)))
            return
        rule = self.policy.rule_for(name)
        if rule is None:
            self.refuse(name, PackagingErrorReason.NO_ACTION)
            return
        self.closure.matched.add(self.rules.index(rule))
        match rule.action:
            case Action.DENY:
                self.refuse(name, PackagingErrorReason.DENIED, action=Action.DENY, place=str(rule))
            case Action.MOCK:
                found = self.scans.find(name)
                is_package = found is not None and found.facts.is_package
                self.add(Member(name, Action.MOCK, str(rule), stand_in_source(), is_package, found))
            case Action.EXTERN:
                self.add(Member(name, Action.EXTERN, str(rule), found=self.scans.find(name)))
            case Action.INTERN:
                yield from self.intern(name, str(rule), follow=follow, by_rule=True)

    def intern(
        self, name: ModuleName, reason: str, *, follow: bool, by_rule: bool
    ) -> Iterator[tuple[str | None, ModuleName]]:
        if name in self.closure.members:
            return
        found = self.scans.find(name)
        if found is None:
            self.refuse(name, PackagingErrorReason.NO_DUNDER_FILE, "it cannot be found")
            return
        if found.facts.kind is ModuleKind.STDLIB:  # which no rule interns
            found = find_in_stdlib(name)
        facts = found.facts
        compiled = self.compiled.get(facts.distribution or "")
        if facts.kind is ModuleKind.EXTENSION and by_rule and not found.only_there:
            if facts.distribution is not None:
                self.compiled.setdefault(facts.distribution, name)
            self.add(Member(name, Action.EXTERN, f"compiled; {reason} cannot package it", found=found))
            return
        if compiled is not None and by_rule and found.mount is None:
            why = f"{compiled} of the same distribution is compiled; {reason} cannot package part of it"
            self.add(Member(name, Action.EXTERN, why, found=found))
            return
        if facts.kind is ModuleKind.NAMESPACE:
            self.add(Member(name, Action.INTERN, reason, None, is_package=True, found=found))
            return
        source = found.read() if facts.kind is ModuleKind.SOURCE else None
        if source is None:
            self.refuse_without_source(name, found)
            return
        self.add(Member(name, Action.INTERN, reason, source, facts.is_package, found))
        if follow:
            yield from self.follow(name, source, is_package=facts.is_package)

    def refuse_without_source(self, name: ModuleName, found: FoundModule) -> None:
        file = found.facts.file
        if file is None:
            reason = PackagingErrorReason.NO_DUNDER_FILE
        elif file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            reason = PackagingErrorReason.IS_EXTENSION_MODULE
        else:
            reason = PackagingErrorReason.SOURCE_FILE_NOT_FOUND
        lost = reason is PackagingErrorReason.SOURCE_FILE_NOT_FOUND
        self.refuse(name, reason, f"filename: {file}" if lost else None, action=Action.INTERN)

    def add_source(self, item: SourceSaved) -> Iterator[tuple[str | None, ModuleName]]:
        if item.module in self.closure.members:
            return
        self.add(Member(item.module, Action.INTERN, "saved as source", item.source, item.is_package))
        if item.dependencies:
            yield from self.follow(item.module, item.source, is_package=item.is_package)

    def follow(
        self, module: ModuleName, source: bytes, *, is_package: bool
    ) -> Iterator[tuple[str | None, ModuleName]]:
        try:
            pairs = self.scans.imports(module, source, is_package=is_package)
        except SyntaxError as error:
            self.refuse(
                module,
                PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED,
                error.msg,
                place=f"line {error.lineno}",
            )
            return
        self.closure.members[module] = replace(self.closure.members[module], scanned=True)
        followed: set[ModuleName] = set()
        for base, item in pairs:
            # `from mylib import ops`: if ops is a module, mylib itself is not needed.
            name = self.module_of(base, item)
            if name is None:
                self.closure.absent.add(top_level(base))
            elif name not in followed and name != module:
                followed.add(name)
                yield module, name

    def module_of(self, base: str, item: str | None) -> ModuleName | None:
        candidates = [f"{base}.{item}", base] if item is not None else [base]
        for candidate in map(ModuleName, candidates):
            if candidate in self.provided or candidate == OWN_MODULE or self.scans.exists(candidate):
                return candidate
        return None

    def refuse_mixtures(self) -> None:
        """Refuse libraries of which parts are from one place and parts from another that has other code.

        Of a package that was exported a year ago and the library as it is installed by now, each may lack
        what the other imports.
        """
        libraries: dict[str, list[Member]] = {}
        for member in self.closure.members.values():
            if member.action is Action.INTERN and member.found is not None and member.source is not None:
                libraries.setdefault(top_level(member.module), []).append(member)
        for members in libraries.values():
            places = {id(m.found.mount): m for m in members if m.found is not None}
            if len(places) < 2 or any(self.is_as_in(leaf, members) for leaf in leaves(self.scans.importer)):
                continue
            told = " and ".join(f"`{m.module}` from {_place_of(m)}" for m in places.values())
            self.refuse(
                list(places.values())[-1].module,
                PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED,
                f"{told}, which do not fit: package objects of one of them, or load and save the others anew",
            )

    def is_as_in(self, leaf: Importer, members: Sequence[Member]) -> bool:
        """Tell whether an importer has the very source of all these modules."""
        for member in members:
            found = find_in(leaf, member.module)
            if found is None or found.read() != member.source:
                return False
        return True

    def add(self, member: Member) -> None:
        self.closure.members[member.module] = member
        self.graph.add_node(member.module, action=member.action)

    def refuse(
        self,
        name: ModuleName,
        reason: PackagingErrorReason,
        context: str | None = None,
        action: Action | None = None,
        place: str | None = None,
    ) -> None:
        self.graph.add_node(name, error=reason, error_context=context, error_place=place)
        if action is not None:
            self.graph.add_node(name, action=action)
