"""Facts that tracing finds out about an object, without decisions. They travel from tracing to planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from wardian.domain.global_refs import GlobalRef
from wardian.domain.graph import ImportGraph
from wardian.domain.modules import ModuleFacts
from wardian.domain.names import ModuleName, RecordName
from wardian.domain.source_facts import SourceFacts

__all__ = ["DistributionFacts", "Evidence", "ObservedImport", "Trace", "UnreadFile"]


@dataclass(frozen=True, slots=True, order=True)
class ObservedImport:
    """One import that was carried out."""

    importer: str
    imported: str
    line: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts of one run, all sorted."""

    modules: tuple[str, ...]
    """Modules that were imported for the object, or that code imported for it asked for."""
    imports: tuple[ObservedImport, ...]
    absent: tuple[str, ...]
    """Top-level names that were asked for and not found."""
    files: tuple[str, ...]
    """Files and folders that were opened or listed."""
    libraries: tuple[str, ...]
    """Shared libraries that were mapped into the process, those of torch included."""
    operators: tuple[str, ...]
    """Those of them that `torch.ops.load_library` loaded."""
    schemas: tuple[str, ...]
    """Schemas of the operators that were registered by native code."""
    ran: bool
    """Whether the object was called with the inputs."""
    used: tuple[str, ...] | None
    """Top-level names of modules from outside of which code made something; None if that was not watched."""
    asked: tuple[str, ...] = ()
    """Distributions whose metadata code asked for and got, as `name==version`."""
    demands: tuple[ObservedImport, ...] = ()
    """Imports of top-level names, in functions and by PyTorch, without which the run would have failed."""
    checked: tuple[str, ...] = ()
    """Distributions without whose metadata it would have failed."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        for key in ("imports", "demands"):
            plain[key] = [(seen.importer, seen.imported, seen.line) for seen in plain[key]]
        return plain

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Evidence:
        """Undo `to_plain`."""
        rest: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        for key in ("imports", "demands"):
            rest[key] = tuple(ObservedImport(*item) for item in rest[key])
        return cls(**rest)


@dataclass(frozen=True, slots=True)
class DistributionFacts:
    """One distribution that the object reaches."""

    name: str
    version: str
    roots: tuple[str, ...]
    compiled: tuple[str, ...]
    """Its compiled modules, and shared libraries of other kinds, that were loaded."""
    required_by_torch: bool
    with_every_torch: bool
    """Whether torch requires it on all platforms. A build for CUDA requires triton on Linux, one for CPUs
    does not."""
    files: tuple[tuple[str, str, int], ...]
    """(record name, path, size in bytes) of sources and data files; empty for what can't be packed."""
    left_out: tuple[str, ...]
    """Data files that are too large to come along unread."""
    metadata: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, order=True)
class UnreadFile:
    """A data file that code names and that nothing has read in the run."""

    path: str
    module: ModuleName
    """The one whose source names it."""
    line: int

    def __str__(self) -> str:
        return f"{self.path}, which {self.module} names in line {self.line}: nothing has read it in the run"


@dataclass(frozen=True, slots=True)
class Trace:
    """The needs of an object: facts only, no decision."""

    entry: str
    type: GlobalRef
    globals: tuple[GlobalRef, ...]
    modules: Mapping[ModuleName, ModuleFacts]
    """Every module the object reaches; the standard library is left out."""
    needed: frozenset[ModuleName]
    """Those that were imported in the run or are named by the pickle."""
    graph: ImportGraph
    facts: Mapping[ModuleName, SourceFacts]
    """The facts that the sources of modules that may be packed show."""
    distributions: Mapping[str, DistributionFacts]
    first_party_files: tuple[tuple[str, str, int], ...]
    """(record name, path, size in bytes) of data files beside first-party packages."""
    evidence: Evidence
    torch: str
    """Version of torch."""
    materialised: frozenset[str]
    """Top-level names whose files code looked at when the cases were made that the object comes from."""
    captured: Mapping[ModuleName, str]
    """Sources of modules that have no file, or are not what it holds."""
    lacking: tuple[tuple[str | None, str | None, tuple[str, ...], tuple[str, ...]], ...] = ()
    """Soft externs of open cases that parts of the object were loaded from, if they are not installed:
    distribution, version, modules and names of each."""
    sharing: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    """Top-level names in these cases that several distributions share, and whose they are; None stands for
    first-party code. No case tells which of the files are whose: they count as those of the first."""
    mocks: tuple[ModuleName, ...] = ()
    """Modules that are mocked in these cases."""
    reached: frozenset[ModuleName] | None = None
    """Modules of distributions that were not imported in the run and that code can reach all the same; None
    if that was not looked for, because the object was not called."""
    set_at_load: tuple[str, ...] = ()
    """Names of scripts that are set when the object is loaded, and why, in that order."""
    unread: tuple[UnreadFile, ...] = ()
    """Data files that first-party code names, that nothing has read in the run, and that stay out."""
    data: frozenset[RecordName] = frozenset()
    """Data files of distributions that are small, were read in the run, or are named by code that can be
    reached."""
