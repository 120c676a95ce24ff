"""Join the pickle's globals, the evidence of a run and a scan of the sources into one trace."""

from __future__ import annotations

import configparser
import contextlib
import marshal
import os
import re
import sys
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wardian.capture.synthesis import CapturedModule
from wardian.environment import (
    Distributions,
    ModuleFacts,
    ModuleKind,
    PackedOrigin,
    find_module,
    is_always_there,
    known_attribute,
    mapped_libraries,
)
from wardian.facts import DistributionFacts, Evidence, ObservedImport, Trace
from wardian.graph import Import, ImportContext, ImportGraph
from wardian.names import (
    LIVE_PREFIX,
    GlobalRef,
    ModuleName,
    RecordName,
    ancestors,
    is_module_name,
    module_of,
    record_name,
    top_level,
)
from wardian.need import StockedModule, find_mentioned_data, find_reached
from wardian.remembered import scan_once
from wardian.source import SourceFacts, batch, scan
from wardian.trace.bytecode import scan_code

__all__ = ["TORCH", "make_trace"]

TORCH = "torch"
"""The distribution that is always there; with what it requires, it is never packed."""

_MAX_DATA_FILE = 1 << 20
"""Bytes up to which a data file of a packed distribution comes along without having been read in the run."""

_COMPILED = (".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".a", ".lib")
"""Never data, though imports read them."""

_FOR_COMPILERS = (".h", ".hpp", ".cuh", ".c", ".cpp", ".cu", ".pyx", ".pxd")
"""Data only where the run has read them, as code does that compiles its operators when it is called."""


class _Tracer:
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
        top = name.partition(".")[0]
        return next((origin for origin in self.origins if top in origin.roots), None)

    def own_name(self, name: str) -> ModuleName | None:
        """Return the original name of a module that was seen; None for what no object needs."""
        if not name.startswith(LIVE_PREFIX):
            return ModuleName(name) if top_level(ModuleName(name)) != "wardian" else None
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
        """Note whose shared libraries are loaded; operator libraries do not count, they can be packed."""
        owners = {self.distributions.owner_of_file(path) for path in operators}
        for path in sorted(set(libraries) - operators):
            owner = self.distributions.owner_of_file(path)
            # auditwheel puts what an operator library needs itself into `<distribution>.libs`.
            belongs_to_operators = owner in owners and os.path.dirname(path).endswith(".libs")
            if owner is not None and not belongs_to_operators:
                self.compiled.setdefault(owner, set()).add(os.path.basename(path))

    def may_be_packed(self, found: ModuleFacts) -> bool:
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
            facts = scan_once(source, found.name, is_package=found.is_package, file=found.file)
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
            loaded: Modules that count as needed when an import leads to them; None follows only to
                first-party code.

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
                if edge.context is ImportContext.TYPE_CHECKING or edge.imported in reached:
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
        tops = {text.partition(".")[0] for text in texts} & self._names_to_import()
        own = {
            top
            for top in map(ModuleName, tops)
            if not (is_always_there(top) or self.distributions.providing(top))
            and self._find(top).kind is not ModuleKind.MISSING
        }
        named = (text for text in texts if text.partition(".")[0] in own)
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
        names = {name.partition(".")[0] for name in list(sys.modules)}
        names = names.union(*(origin.roots for origin in self.origins))
        for entry in sys.path:
            with contextlib.suppress(OSError):  # it is not there, or no folder
                names |= {file.partition(".")[0] for file in os.listdir(entry or os.curdir)}
        return names

    def add_first_party(self, edge: Import) -> ModuleFacts | None:
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


def make_trace(
    *,
    entry: str,
    type: GlobalRef,
    globals: Iterable[GlobalRef],
    paths: Mapping[GlobalRef, str],
    evidence: Evidence | None,
    captured: Mapping[ModuleName, CapturedModule] | None = None,
    origins: Sequence[PackedOrigin] = (),
    texts: Collection[str] = (),
    wanted: Callable[[str], bool] | None = None,
) -> Trace:
    """Find what an object needs.

    Args:
        entry: Name of the entry point.
        type: Class of the object.
        globals: Every class and function its pickles name.
        paths: Where in the object the first of each is (`model.encoder`).
        evidence: Of a run in a clean process. None takes this process for the evidence: an import in the
            source counts as needed if its module is loaded here.
        captured: Modules that were synthesised for the object, or are not what their files hold.
        origins: Open cases that parts of the object were loaded from; their modules go before installed ones.
        texts: Dotted names in the object, which may be those of modules that it imports when it runs.
        wanted: Tells of a module of a distribution whether it shall come along whatever leads to it, with all
            that it can reach. None if distributions come along whole.
    """
    names = sorted(set(globals))
    seeds = {ref.module for ref in names}
    tracer = _Tracer(evidence or _evidence_of_this_process(), captured or {}, origins, seeds)
    tracer.add_libraries(tracer.evidence.libraries, frozenset(tracer.evidence.operators))
    with batch():
        for ref in names:
            place = paths.get(ref, "")
            context = ImportContext.PICKLED
            tracer.edges.append(Import(ModuleName(entry), ref.module, 0, context, place, ref.qualname))
        if evidence is None:
            loaded = frozenset(own for name in sys.modules if (own := tracer.own_name(name)) is not None)
            for name in loaded:
                spec = known_attribute(sys.modules.get(name), "__spec__")
                if spec is not None and getattr(spec, "has_location", False) and _is_compiled(spec.origin):
                    tracer.add(ModuleName(name))
            tracer.modules.clear()
            needed = tracer.follow(seeds, loaded)
        else:
            names_asked = [
                *evidence.modules,
                *(d.imported for d in evidence.demands if d.importer == "torch"),
            ]
            observed = {own for name in names_asked if (own := tracer.own_name(name)) is not None}
            for name in sorted(observed):
                tracer.add(name)
            needed = {name for name in observed | seeds if tracer.add(name) is not None}
            for name in sorted(needed):
                found = tracer.modules[name]
                if tracer.may_be_packed(found):
                    tracer.scan(found)
            first_party = {n for n in needed if tracer.modules[n].distribution is None}
            tracer.follow(first_party, None)
        tracer.follow(tracer.add_mentioned(entry, texts), None)
        distributions = _distributions(tracer)
        reached = data = None
        if tracer.evidence.ran and wanted is not None:
            reached, data = _add_reached(tracer, distributions, frozenset(needed), texts, wanted)
    trace = _assemble(tracer, entry, type, names, frozenset(needed), distributions)
    return replace(trace, reached=reached, data=data or frozenset())


class _Stock:
    """The modules of the distributions that can be packed, and what their sources show."""

    def __init__(self, tracer: _Tracer, distributions: Iterable[DistributionFacts]) -> None:
        self._tracer = tracer
        self._sources: dict[ModuleName, bytes] = {}
        self.modules: Mapping[ModuleName, StockedModule] = {
            name: StockedModule(found.name, path, size, record.endswith("/__init__.py"))
            for found in distributions
            for record, path, size in found.files
            if (name := module_of(record)) is not None
        }

    def facts(self, name: ModuleName) -> SourceFacts | None:
        stocked = self.modules.get(name)
        found = self._tracer.modules.get(name)
        if found is None and stocked is not None:
            found = ModuleFacts(
                name, ModuleKind.SOURCE, stocked.path, stocked.is_package, stocked.distribution
            )
        return self._tracer.scan(found) if found is not None and self._tracer.may_be_packed(found) else None

    def source(self, name: ModuleName) -> bytes:
        if name not in self._sources:
            try:
                self._sources[name] = Path(self.modules[name].path).read_bytes()
            except OSError:  # writing the case will tell
                self._sources[name] = b""
        return self._sources[name]


def _add_reached(
    tracer: _Tracer,
    distributions: Mapping[str, DistributionFacts],
    needed: frozenset[ModuleName],
    texts: Iterable[str],
    wanted: Callable[[str], bool],
) -> tuple[frozenset[ModuleName], frozenset[RecordName]]:
    """Add the modules of distributions that code can reach; return them, and the data files that it can."""
    stock = _Stock(tracer, distributions.values())
    points = [name for found in distributions.values() for name in _plugins(found)]
    seeds = {*tracer.modules, *filter(wanted, stock.modules), *points}
    seeds.update(ModuleName(text[:end]) for text in texts for end in _ends(text))
    reach = find_reached(seeds, needed, stock)
    reached = reach.modules - needed
    for name in reached - tracer.modules.keys():
        module = stock.modules[name]
        kind = ModuleKind.SOURCE
        tracer.modules[name] = ModuleFacts(name, kind, module.path, module.is_package, module.distribution)
    tracer.edges += reach.edges
    kept: dict[str, list[ModuleName]] = {}
    for name in reach.modules:
        kept.setdefault(stock.modules[name].distribution, []).append(name)
    data: set[str] = set()
    for distribution, modules in kept.items():
        packages = {name.replace(".", "/") for name in modules if stock.modules[name].is_package}
        beside = [
            (record, size)
            for record, _, size in distributions[distribution].files
            if module_of(record) is None and _is_beside(record, packages)
        ]
        data.update(find_mentioned_data(beside, map(stock.source, modules)))
    read = frozenset(tracer.evidence.files)
    # Operator libraries, and what wheels bring for these to be linked with.
    mapped = {os.path.realpath(path) for path in (*tracer.evidence.libraries, *tracer.evidence.operators)}
    data.update(
        record
        for found in distributions.values()
        for record, path, _ in found.files
        if path in read or (".so" in record and os.path.realpath(path) in mapped)
    )
    return reached, frozenset(map(record_name, data))


def _ends(text: str) -> Iterator[int]:
    """Yield where the parts of a dotted name end."""
    return (place for place in (*(m.start() for m in re.finditer(r"\.", text)), len(text)))


def _is_beside(record: str, packages: Container[str]) -> bool:
    """Tell whether a data file lies in the folder of one of some packages, or below it, or in none."""
    parts = record.split("/")[:-1]
    return len(parts) == 0 or any("/".join(parts[:end]) in packages for end in range(len(parts), 0, -1))


def _plugins(found: DistributionFacts) -> Iterator[ModuleName]:
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


def _is_compiled(origin: str | None) -> bool:
    return origin is not None and origin.endswith((".so", ".pyd"))


def _evidence_of_this_process() -> Evidence:
    """Return what can be said without a run: which native code is loaded here."""
    from wardian.tensors import selftest

    return Evidence(
        modules=(),
        imports=(),
        absent=(),
        files=(),
        libraries=tuple(sorted(mapped_libraries())),
        operators=tuple(sorted(selftest.operator_libraries())),
        schemas=(),
        ran=False,
        used=None,
    )


def _distributions(tracer: _Tracer) -> dict[str, DistributionFacts]:
    read = frozenset(tracer.evidence.files)
    sharing = {pair for origin in tracer.origins for pair in origin.sharing}
    reached = {facts.distribution for facts in tracer.modules.values() if facts.distribution is not None}
    reached |= {name for _, names in sharing if names[0] in reached for name in names if name is not None}
    return {name: _distribution_facts(tracer, name, read) for name in sorted(reached)}


def _assemble(
    tracer: _Tracer,
    entry: str,
    type: GlobalRef,
    names: list[GlobalRef],
    needed: frozenset[ModuleName],
    distributions: Mapping[str, DistributionFacts],
) -> Trace:
    static = {(edge.importer, edge.imported) for edge in tracer.edges}
    observed: list[ObservedImport] = []
    for seen in tracer.evidence.imports:
        importer, imported = tracer.own_name(seen.importer), tracer.own_name(seen.imported)
        if importer is None or imported is None:
            continue
        observed.append(ObservedImport(importer, imported, seen.line))
        if (importer, imported) not in static and importer in tracer.modules:
            file = tracer.modules[importer].file or ""
            tracer.edges.append(Import(importer, imported, seen.line, ImportContext.OBSERVED, file))
    absent = {name for origin in tracer.origins for name in origin.absent if tracer.origin_of(name) is None}
    read = frozenset(tracer.evidence.files)
    sharing = {pair for origin in tracer.origins for pair in origin.sharing}
    return Trace(
        entry=entry,
        type=type,
        globals=tuple(names),
        modules=dict(sorted(tracer.modules.items())),
        needed=needed,
        graph=ImportGraph(tracer.edges),
        facts=tracer.facts,
        distributions=distributions,
        first_party_files=_first_party_files(tracer, read),
        evidence=replace(
            tracer.evidence,
            imports=tuple(sorted(set(observed))),
            demands=tuple(
                replace(demand, importer=importer)
                for demand in tracer.evidence.demands
                if (importer := tracer.own_name(demand.importer)) is not None
            ),
            absent=tuple(sorted(absent.union(tracer.evidence.absent))),
            asked=tuple(
                sorted(
                    {*tracer.evidence.asked, *(pair for origin in tracer.origins for pair in origin.asked)}
                )
            ),
        ),
        torch=tracer.distributions[TORCH].version,
        materialised=frozenset(top for origin in tracer.origins for top in origin.materialised),
        captured={name: module.source for name, module in tracer.captured.items()},
        sharing=tuple(sorted(sharing, key=str)),
        mocks=tuple(sorted({ModuleName(name) for origin in tracer.origins for name in origin.mocks})),
        lacking=tuple(sorted({found for origin in tracer.origins for found in origin.lacking}, key=str)),
    )


def _distribution_facts(tracer: _Tracer, name: str, read: frozenset[str]) -> DistributionFacts:
    packed = [origin for origin in tracer.origins if name in origin.versions]
    if packed:
        # Sources are the same in all of them; data files may be those that one object reads.
        by_record = {file[0]: file for origin in reversed(packed) for file in origin.files[name]}
        return DistributionFacts(
            name=name,
            version=packed[0].versions[name],
            roots=tuple(sorted({record.partition("/")[0].removesuffix(".py") for record in by_record})),
            compiled=(),
            required_by_torch=False,
            with_every_torch=False,
            files=tuple(by_record[record] for record in sorted(by_record)),
            left_out=(),
            metadata=packed[0].metadata[name],
        )
    distribution = tracer.distributions[name]
    compiled = tuple(sorted(tracer.compiled.get(name, ())))
    by_torch = name in tracer.torch_closure
    files: list[tuple[str, str, int]] = []
    left_out: list[str] = []
    if not compiled and not by_torch:
        libraries = {os.path.realpath(path) for path in tracer.evidence.operators}
        for relative in distribution.files:
            top = relative.partition("/")[0]
            # A `.pth` file there is Python's own; in a folder it holds weights.
            if top.endswith((".dist-info", ".egg-info", ".data", ".pth")):
                continue
            path = os.path.join(distribution.root, relative)
            if relative.endswith(_COMPILED) and os.path.realpath(path) not in libraries:
                continue
            if relative.endswith(_FOR_COMPILERS) and path not in read:
                continue
            try:
                size = os.stat(path).st_size
            except OSError:  # listed but removed
                continue
            if size > _MAX_DATA_FILE and not relative.endswith((".py", *_COMPILED)) and path not in read:
                left_out.append(relative)
            else:
                files.append((relative, path, size))
    return DistributionFacts(
        name=name,
        version=distribution.version,
        roots=tuple(sorted(distribution.roots)),
        compiled=compiled,
        required_by_torch=by_torch,
        with_every_torch=name in tracer.distributions.closure(TORCH, everywhere=True),
        files=tuple(files),
        left_out=tuple(left_out),
        metadata=distribution.metadata_files() if not compiled and not by_torch else {},
    )


def _first_party_files(tracer: _Tracer, read: frozenset[str]) -> tuple[tuple[str, str, int], ...]:
    """Return data files in the folders of first-party packages, and those beside packages that were read."""
    places: dict[str, str] = {}
    bases: set[str] = set()
    for name, facts in tracer.modules.items():
        if facts.distribution is not None or facts.file is None or facts.kind is not ModuleKind.SOURCE:
            continue
        folder = os.path.dirname(facts.file)
        if facts.is_package:
            prefix = name.replace(".", "/")
            places |= {
                f"{prefix}/{os.path.relpath(path, folder).replace(os.sep, '/')}": path
                for path in _data_below(folder)
            }
        # Where the first part of its name is found, an entry of sys.path.
        bases.add(os.path.normpath(os.path.join(folder, *[".."] * (name.count(".") + facts.is_package))))
    # A virtual environment below the project's folder is on sys.path and is no part of the project.
    elsewhere = tuple(os.path.abspath(entry) + os.sep for entry in (*sys.path, sys.prefix))
    for base in sorted(bases):
        inner = tuple(
            entry for entry in elsewhere if entry.startswith(base + os.sep) and entry != base + os.sep
        )
        for path in sorted(read):
            if not path.startswith(base + os.sep) or path.startswith(inner) or not os.path.isfile(path):
                continue
            record = os.path.relpath(path, base).replace(os.sep, "/")
            # A file with a dot holds what is of this machine: settings, secrets.
            hidden = any(part.startswith(".") for part in record.split("/"))
            if not hidden and tracer.distributions.owner_of_file(path) is None:
                places.setdefault(record, path)
    beside = {record: path for origin in tracer.origins for record, path in origin.beside}
    places = beside | places
    used = read.union(tracer.evidence.libraries, beside.values())
    modules = frozenset(facts.file for facts in tracer.modules.values())
    found: dict[str, tuple[str, str, int]] = {}
    for record, path in places.items():
        size = os.stat(path).st_size
        is_data = not path.endswith((".py", *_COMPILED, *_FOR_COMPILERS)) and size <= _MAX_DATA_FILE
        # A shared library that ctypes loads is data; one that Python imports is a module.
        is_used = path in used and path not in modules and not path.endswith((".py", ".pyc"))
        if is_data or is_used:
            found[record] = (record, path, size)
    return tuple(found[record] for record in sorted(found))


def _data_below(folder: str) -> list[str]:
    """Return files below a package's folder, not descending into what is no part of it."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
        found += [os.path.join(place, f) for f in sorted(files) if not f.startswith(".")]
    return found
