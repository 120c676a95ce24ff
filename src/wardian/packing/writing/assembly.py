"""Stage 3: put what the plan names, and the manifest, into the archive."""

from __future__ import annotations

import platform
import string
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from wardian.archive.writer import ArchiveWriter
from wardian.capture.homes import is_captured
from wardian.collector import collector_paused
from wardian.domain.digests import RecordDigest
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.manifest import (
    FORMAT_VERSION,
    Entry,
    Interpreter,
    Library,
    Manifest,
    Platform,
    TensorEntry,
)
from wardian.domain.names import ModuleName, RecordName, record_name
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.domain.record_names import BYTE_ORDER, IMPORTS, metadata_record
from wardian.errors import PackError, Problem
from wardian.packing.writing.bytecode import compiled_modules, is_library, without_path
from wardian.packing.writing.torch_records import records_for_torch_package

__all__ = ["Contents", "amend", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The contents of a case beside its code."""

    entries: tuple[Entry, ...]
    pickles: Mapping[RecordName, bytes]
    """Pickles of the entries and of their self-tests."""
    tensors: tuple[TensorEntry, ...]
    resources: Mapping[RecordName, bytes]
    metadata: Mapping[str, str]
    torch: str
    deferred: tuple[str, ...] = ()
    bytecode_only: tuple[str, ...] = ()
    proof: Literal["passed", "skipped"]
    sources: Mapping[RecordName, bytes] = field(default_factory=dict)
    """Content of files of the plan that are not on the disk."""
    origins: Sequence[PackedOrigin] = ()
    """Open cases that modules come from: by which imports they came is said there."""
    extern_modules: tuple[str, ...] | None = None
    """Modules that `torch.package` may import from the environment; None finds them out."""


@collector_paused()
def assemble(archive: ArchiveWriter, plan: Plan, contents: Contents) -> tuple[Manifest, str]:
    """Add every record of a case to *archive* and finish it.

    Args:
        archive: Holds the storages already.
        plan: What code and data go in.
        contents: The rest.

    Returns:
        The manifest that was written, and the digest of the case.

    Raises:
        PackError: if a file of the plan cannot be read any more, or a resource has a name that is taken.
    """
    records = _code_and_data(plan, contents)
    # The archive deflates what it has in the background while the modules are compiled.
    lasting = {f.record for f in plan.files if f.module or f.distribution}
    for name, data in records.items():
        archive.add(name, data, lasting=name in lasting)
    builds = [records[name] for name in plan.libraries]
    skeleton = _manifest(plan, contents, tuple(o for o in plan.operators if _mentions(builds, o)))
    sources = {f: records[f.record] for f in plan.files if f.module is not None and f.record.endswith(".py")}
    for name, data in compiled_modules(plan, sources, skeleton.roots):
        archive.add(name, data, lasting=True)
    records = records_for_torch_package(plan, sources.values(), skeleton, contents.extern_modules)
    for distribution, files in plan.metadata.items():
        records |= {record_name(metadata_record(distribution, name)): data for name, data in files.items()}
    records |= contents.pickles
    chains = _chains(plan, contents)
    if chains:
        records[IMPORTS] = chains
    for name, data in records.items():
        archive.add(name, data)
    written: list[Manifest] = []

    def document(digests: Mapping[RecordName, RecordDigest]) -> bytes:
        written.append(replace(skeleton, records={str(name): digest for name, digest in digests.items()}))
        return written[0].to_json()

    digest = archive.finish(document)
    return written[0], digest


def amend(archive: ArchiveWriter, manifest: Manifest) -> str:
    """Give a finished case another manifest, with the same records.

    Returns:
        The new digest of the case.
    """
    return archive.reseal(lambda digests: manifest.to_json())


def _code_and_data(plan: Plan, contents: Contents) -> dict[RecordName, bytes]:
    """Return the files of the plan, and the resources.

    Raises:
        PackError: if a file cannot be read any more, or a resource or pickle has a name that is taken.
    """
    records: dict[RecordName, bytes] = {}
    problems: list[Problem] = []
    for file in plan.files:
        try:
            known = contents.sources.get(file.record, file.content)
            data = Path(file.path).read_bytes() if known is None else known
            if file.module is not None and file.record.endswith(".pyc"):
                data = without_path(data, file.record, of_distribution=is_library(plan, file.module))
            records[file.record] = data
        except OSError as error:
            problems.append(Problem(f"{file.path} cannot be read: {error.strerror}", "", file.module))
    problems += [
        Problem(f"{name} is both a pickle and a file beside the code", 'pack(..., name="another")')
        for name in sorted(records.keys() & contents.pickles.keys())
    ]
    taken = {*records, *contents.pickles, BYTE_ORDER}
    folders = {folder for name in (*taken, *contents.resources) for folder in _folders_above(name)}
    for name, data in contents.resources.items():
        if name in taken or name in folders or not taken.isdisjoint(_folders_above(name)):
            problems.append(
                Problem(f"resource {name} has the name of another file or folder", "rename the resource")
            )
        records[name] = data
    if problems:
        raise PackError("the case cannot be written", problems=problems)
    return records


def _folders_above(name: RecordName) -> Iterator[RecordName]:
    parts = name.split("/")
    return (RecordName("/".join(parts[:count])) for count in range(1, len(parts)))


def _mentions(builds: Iterable[bytes], schema: str) -> bool:
    """Tell whether one of the shared libraries registers an operator: it has the name in it.

    What else was registered while they were loaded is of PyTorch, or of a library that is not packed.
    """
    name = schema.partition("(")[0].partition(".")[0].rpartition("::")[2].encode()
    return any(_has_word(build, name) for build in builds)


def _has_word(content: bytes, word: bytes) -> bool:
    # A regular expression that begins with a look behind takes thirty times as long.
    start = content.find(word)
    while start != -1:
        end = start + len(word)
        if not _PART_OF_WORD.intersection(content[max(start - 1, 0) : start] + content[end : end + 1]):
            return True
        start = content.find(word, start + 1)
    return False


_PART_OF_WORD = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"_")


def _manifest(plan: Plan, contents: Contents, operators: tuple[str, ...]) -> Manifest:
    libraries = tuple(
        Library(
            record=record,
            operators=operators,
            torch=contents.torch,
            system=platform.system(),
            machine=platform.machine(),
        )
        for record in plan.libraries
    )
    return Manifest(
        format=FORMAT_VERSION,
        python=Interpreter(
            version=platform.python_version(),
            implementation=sys.implementation.name,
            tag=sys.implementation.cache_tag or "",
        ),
        torch=contents.torch,
        platform=Platform(system=platform.system(), machine=platform.machine()),
        entries=contents.entries,
        distributions=plan.distributions,
        externs=plan.externs,
        absent=plan.absent,
        mocks=plan.mocks,
        deferred=contents.deferred,
        bytecode_only=contents.bytecode_only,
        libraries=libraries,
        materialised=plan.materialised,
        tensors=contents.tensors,
        records={},
        proof=contents.proof,
        metadata=dict(sorted(contents.metadata.items())),
    )


def _chains(plan: Plan, contents: Contents) -> bytes:
    """Return how the objects lead to each module: the last import of the shortest chain.

    Of modules that come from a case, what is said there stays true, and a run would show it otherwise. Of
    others what sources show goes before what only the run showed. How modules outside import each other is
    their own affair.
    """
    names = [ModuleName(entry.name) for entry in contents.entries]
    mine = {*names, *(d.module for d in plan.decisions if d.action is Action.INTERN)}
    # Of the names in a pickle the first by the alphabet: their order is that in which the pickle was made.
    edges = sorted((edge for edge in plan.graph if edge.importer in mine), key=lambda edge: edge.qualname)
    shown = ImportGraph(edge for edge in edges if edge.context is not ImportContext.OBSERVED)
    came_by = ImportGraph(edges).find_last_steps(names) | shown.find_last_steps(names)
    known = {module: line for origin in contents.origins for module, line in origin.imports.items()}
    known = {module: line for module, line in known.items() if line.split(" ")[1] in mine}
    from_cases = {name for origin in contents.origins if origin.imports for name in origin.modules}
    lines = {
        f"{edge.imported} {edge.importer} {_line_of(edge)} {edge.context} {_named_by(edge)}".rstrip()
        for decision in plan.decisions
        if decision.module not in known and decision.module not in from_cases
        if (edge := came_by.get(decision.module)) is not None
    }
    lines.update(line for decision in plan.decisions if (line := known.get(decision.module)) is not None)
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def _named_by(edge: Import) -> str:
    """Return what a pickle names in a module; in captured code, which is made anew, names come and go."""
    return "" if is_captured(edge.imported) else edge.qualname


def _line_of(edge: Import) -> int:
    """Return the line of an import; of one that was only seen, it depends on who imports."""
    return 0 if edge.context is ImportContext.OBSERVED else edge.line
