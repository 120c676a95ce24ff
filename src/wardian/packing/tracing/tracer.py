"""Join the pickle's globals, the evidence of a run and a scan of the sources into one trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from operator import attrgetter

from wardian.capture.synthesis import CapturedModule
from wardian.domain.global_refs import GlobalRef
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.modules import TORCH, ModuleFacts, ModuleKind
from wardian.domain.names import ModuleName, RecordName, module_of, record_name
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.trace import DistributionFacts, Evidence, ObservedImport, Trace
from wardian.environment.modules import known_attribute
from wardian.environment.native import mapped_libraries
from wardian.packing.tracing.files import (
    distribution_facts,
    first_party_files,
    is_beside,
    is_compiled,
    unread_files,
)
from wardian.packing.tracing.following import Follower, plugins_of
from wardian.packing.tracing.need import find_mentioned_data, find_reached
from wardian.packing.tracing.stock import InstalledStock, endings
from wardian.source.parsing import batch

__all__ = ["make_trace"]


def make_trace(
    *,
    entry: str,
    type: GlobalRef,
    globals: Iterable[GlobalRef],
    paths: Mapping[GlobalRef, Sequence[str]],
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
        paths: Where in the object each is (`model.encoder`); the first place, or more.
        evidence: Of a run in a clean process. None takes this process for the evidence: an import in the
            source counts as needed if its module is loaded here, or is first-party code.
        captured: Modules that were synthesised for the object, or are not what their files hold.
        origins: Open cases that parts of the object were loaded from; their modules go before installed ones.
        texts: Dotted names in the object, which may be those of modules that it imports when it runs.
        wanted: Tells of a module of a distribution whether it shall come along whatever leads to it, with all
            that it can reach. None if distributions come along whole.
    """
    names = sorted(set(globals))
    seeds = {ref.module for ref in names}
    tracer = Follower(evidence or _evidence_of_this_process(), captured or {}, origins, seeds)
    tracer.add_libraries(tracer.evidence.libraries, frozenset(tracer.evidence.operators))
    with batch():
        for ref in names:
            for place in paths.get(ref) or ("",):
                context = ImportContext.PICKLED
                tracer.edges.append(Import(ModuleName(entry), ref.module, 0, context, place, ref.qualname))
        needed = _loaded_here(tracer, seeds) if evidence is None else _needed_in_run(tracer, seeds)
        tracer.follow(tracer.add_mentioned(entry, texts), None)
        distributions = _distributions(tracer)
        reached = data = None
        if tracer.evidence.ran and wanted is not None:
            reached, data = _add_reached(tracer, distributions, frozenset(needed), texts, wanted)
    trace = _assemble(tracer, entry, type, names, frozenset(needed), distributions)
    return replace(trace, reached=reached, data=data or frozenset())


def _loaded_here(tracer: Follower, seeds: set[ModuleName]) -> set[ModuleName]:
    """Follow what this process has imported from the seeds on; return the modules."""
    loaded = frozenset(own for name in sys.modules if (own := tracer.own_name(name)) is not None)
    for name in loaded:
        spec = known_attribute(sys.modules.get(name), "__spec__")
        if spec is not None and getattr(spec, "has_location", False) and is_compiled(spec.origin):
            tracer.add(ModuleName(name))
    tracer.modules.clear()
    return tracer.follow(seeds, loaded)


def _needed_in_run(tracer: Follower, seeds: set[ModuleName]) -> set[ModuleName]:
    """Add what the run has imported, and follow first-party code beyond it; return what the run needed."""
    demanded = (d.imported for d in tracer.evidence.demands if d.importer == "torch")
    seen = map(tracer.own_name, (*tracer.evidence.modules, *demanded))
    observed = {name for name in seen if name is not None}
    for name in sorted(observed):
        tracer.add(name)
    needed = {name for name in observed | seeds if tracer.add(name) is not None}
    for name in sorted(needed):
        found = tracer.modules[name]
        if tracer.may_be_packed(found):
            tracer.scan(found)
    tracer.follow({name for name in needed if tracer.modules[name].distribution is None}, None)
    return needed


def _add_reached(
    tracer: Follower,
    distributions: Mapping[str, DistributionFacts],
    needed: frozenset[ModuleName],
    texts: Iterable[str],
    wanted: Callable[[str], bool],
) -> tuple[frozenset[ModuleName], frozenset[RecordName]]:
    """Add the modules of distributions that code can reach; return them, and the data files that it can."""
    stock = InstalledStock(tracer, distributions.values())
    points = [name for found in distributions.values() for name in plugins_of(found)]
    seeds = {*tracer.modules, *filter(wanted, stock.modules), *points}
    seeds.update(ModuleName(text[:end]) for text in texts for end in endings(text))
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
            if module_of(record) is None and is_beside(record, packages)
        ]
        data.update(find_mentioned_data(beside, map(stock.source, modules)))
    read = frozenset(tracer.evidence.files)
    mapped = {os.path.realpath(path) for path in (*tracer.evidence.libraries, *tracer.evidence.operators)}
    data.update(
        record
        for found in distributions.values()
        for record, path, _ in found.files
        if path in read or (".so" in record and _is_mapped(record, path, mapped))
    )
    return reached, frozenset(map(record_name, data))


def _is_mapped(record: str, path: str, mapped: Container[str]) -> bool:
    """Tell whether a file is a loaded operator library, or what a wheel brings for one to be linked with.

    Where the file is of a case, the installed one was loaded in its place: it lies elsewhere by the same
    name.
    """
    return os.path.realpath(path) in mapped or any(
        os.path.join(os.path.realpath(folder), *record.split("/")) in mapped for folder in sys.path
    )


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


def _distributions(tracer: Follower) -> dict[str, DistributionFacts]:
    read = frozenset(tracer.evidence.files)
    sharing = {pair for origin in tracer.origins for pair in origin.sharing}
    reached = {facts.distribution for facts in tracer.modules.values() if facts.distribution is not None}
    reached |= {name for _, names in sharing if names[0] in reached for name in names if name is not None}
    return {name: distribution_facts(tracer, name, read) for name in sorted(reached)}


def _assemble(
    tracer: Follower,
    entry: str,
    type: GlobalRef,
    names: list[GlobalRef],
    needed: frozenset[ModuleName],
    distributions: Mapping[str, DistributionFacts],
) -> Trace:
    static = {(edge.importer, edge.imported) for edge in tracer.edges}
    observed: list[ObservedImport] = []
    own_name = cache(tracer.own_name)  # a library imports the same from each of its modules
    for seen in tracer.evidence.imports:
        importer, imported = own_name(seen.importer), own_name(seen.imported)
        if importer is None or imported is None:
            continue
        observed.append(ObservedImport(importer, imported, seen.line))
        if (importer, imported) not in static and importer in tracer.modules:
            file = tracer.modules[importer].file or ""
            tracer.edges.append(Import(importer, imported, seen.line, ImportContext.OBSERVED, file))
    absent = {name for origin in tracer.origins for name in origin.absent if tracer.origin_of(name) is None}
    read = frozenset(tracer.evidence.files)
    sharing = {pair for origin in tracer.origins for pair in origin.sharing}
    beside = first_party_files(tracer, read)
    return Trace(
        entry=entry,
        type=type,
        globals=tuple(names),
        modules=dict(sorted(tracer.modules.items())),
        needed=needed,
        graph=ImportGraph(tracer.edges),
        facts=tracer.facts,
        distributions=distributions,
        first_party_files=beside,
        unread=unread_files(tracer, read, {path for _, path, _ in beside}),
        evidence=replace(
            tracer.evidence,
            imports=tuple(sorted(set(observed), key=attrgetter(*ObservedImport.__match_args__))),
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
