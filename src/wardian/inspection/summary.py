"""A summary of a case: its kind and needs, the outcome of its proof, and whether it fits here."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from wardian.archive import ArchiveReader, FolderReader, ParsingBudget
from wardian.domain.manifest import Entry, Extern, Manifest, TensorEntry
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage
from wardian.errors import CorruptCaseError, Problem
from wardian.inspection.native import find_libraries
from wardian.inspection.sizes import parts_of, size_of
from wardian.pickling.listing import named_globals
from wardian.reading.fit import find_problem, find_problems
from wardian.reading.foreign import read_manifest
from wardian.reading.installed import Installed
from wardian.reading.licences import Licence, find_licences

__all__ = ["ExternFacts", "Presence", "Summary", "WeightFacts"]

Presence = Literal["ok", "missing", "older", "unfit"]
"""It fits; it is not installed; its release is too old; it lacks names that packed code uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternFacts:
    """An extern, and whether the environment provides it."""

    name: str
    """Name of the distribution; of the module if no distribution has it."""
    version: str | None
    """The release that the case was packed with."""
    modules: tuple[str, ...]
    needed: bool
    """False for what the case loads and passes its self-test without."""
    here: Presence
    installed: str | None
    """The release that is here."""
    problem: str | None
    """The problem with it here, as a sentence; None if there is none."""
    fix: str | None
    """The command that mends it."""
    native: bool | None
    """Whether compiled libraries belong to it here; None if it is not here, or does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFacts:
    """The named tensors of one dtype."""

    dtype: str
    tensors: int
    parameters: int
    """Elements of parameters; those of shared ones count once."""
    bytes: int
    """In the file; shared ones count once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The facts that a look at a case shows."""

    path: str
    size: int
    """Size of the file in bytes."""
    kind: Literal["case", "torch.package"]
    digest: str
    """SHA-256 of the manifest, which identifies the case; of the contents for torch.package."""
    manifest: Manifest
    code: int
    """Size of packed sources and bytecode, in bytes, as they are outside of the archive."""
    weights: tuple[WeightFacts, ...]
    """By dtype, the largest first."""
    externs: tuple[ExternFacts, ...]
    problems: tuple[Problem, ...]
    """Needs of the case that this interpreter and the environment do not meet."""
    licences: tuple[Licence, ...] = ()
    """Licences of the packed distributions."""
    libraries: tuple[str, ...] = ()
    """Records that are compiled libraries."""
    functions: Mapping[str, str] = field(default_factory=dict)
    """Dotted names of the entry points that are functions."""
    storages: tuple[int, int] = (0, 0)
    """How many records hold values of tensors, and their bytes."""

    @property
    def fits_here(self) -> bool:
        """Whether everything that is needed is here, so that `wardian.load` would try."""
        return not self.problems

    @property
    def parameters(self) -> int:
        """Elements of all parameters."""
        return sum(facts.parameters for facts in self.weights)

    def what(self, entry: Entry) -> str:
        """Return what an entry point is: the name of a function, else of its class; empty if unknown."""
        return self.functions.get(entry.name, entry.type)

    @property
    def proof(self) -> str:
        """The outcome of the proof when the case was packed, in words."""
        if self.kind != "case":
            return "nothing: archives of torch.package have no proof"
        return self.manifest.proven

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as JSON-able data; docs/reference/cli.md has the keys."""
        manifest = self.manifest
        operators = {library.record: library.operators for library in manifest.libraries}
        return {
            "path": self.path,
            "size": self.size,
            "digest": self.digest,
            "kind": self.kind,
            "entries": [
                {
                    "name": e.name,
                    "type": e.type,
                    "function": self.functions.get(e.name),
                    "self_test": e.test is not None,
                    "outputs": e.outputs,
                }
                for e in manifest.entry_points
            ],
            "tensors": len(manifest.tensors),
            "parameters": self.parameters,
            "weights": [asdict(facts) for facts in self.weights],
            "code": self.code,
            "distributions": [{"name": d.name, "version": d.version} for d in manifest.distributions],
            "externs": [asdict(facts) for facts in self.externs],
            "licences": [
                {
                    "name": licence.distribution,
                    "version": licence.version,
                    "expression": licence.expression,
                    "files": dict(licence.files),
                }
                for licence in self.licences
            ],
            "mocks": list(manifest.mocks),
            "python": manifest.python.version,
            "torch": manifest.torch,
            "platform": asdict(manifest.platform),
            "bytecode_only": list(manifest.bytecode_only),
            "libraries": [
                {"record": record, "operators": list(operators.get(record, ()))} for record in self.libraries
            ],
            "proof": {"outcome": manifest.proof, "words": self.proof},
            "fits_here": self.fits_here,
            "problems": [{"what": p.what, "fix": p.fix, "module": p.module} for p in self.problems],
            "metadata": dict(manifest.metadata),
        }

    @classmethod
    def of(cls, archive: ArchiveReader | FolderReader, path: str, manifest: Manifest | None = None) -> Self:
        """Look at an open archive.

        Args:
            archive: A case, or an archive of torch.package.
            path: How the user called it.
            manifest: What it says about itself, if that was read already.

        Raises:
            CorruptCaseError, UnsupportedFormatError: if its manifest cannot be read.
        """
        manifest = read_manifest(archive) if manifest is None else manifest
        here = Installed()
        storages = [archive.size(name) for name in archive.names if is_storage(name)]
        known = {extern: find_problem(extern, here) for extern in manifest.externs}
        packed = [name for name in archive.names if name.endswith((".py", ".pyc"))]
        others = [name for name in archive.names if not name.endswith((".py", ".pyc"))]
        return cls(
            path=path,
            size=len(archive)
            if isinstance(archive, ArchiveReader)
            else sum(map(archive.size, archive.names)),
            kind=archive.kind,
            digest=archive.fingerprint,
            manifest=manifest,
            code=sum(map(archive.size, packed)),
            weights=tuple(_weights(manifest.tensors)),
            externs=tuple(_extern(extern, problem, here) for extern, problem in known.items()),
            problems=tuple(find_problems(manifest, known=known)),
            licences=find_licences(archive, manifest),
            libraries=tuple(find_libraries(archive, manifest, others)),
            functions=dict(_functions(archive, manifest)),
            storages=(len(storages), sum(storages)),
        )


def _functions(archive: ArchiveReader | FolderReader, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield entry points that are functions, with the dotted names that their pickles have for them."""
    budget = ParsingBudget(archive)
    for entry in manifest.entry_points:
        if entry.type != "types.FunctionType":
            continue
        with contextlib.suppress(CorruptCaseError):  # which whoever loads it is told
            named = named_globals(budget.read(RecordName(entry.record)) or b"")
            if len(named) == 1:
                yield entry.name, ".".join(named[0])


def _weights(tensors: Iterable[TensorEntry]) -> Iterator[WeightFacts]:
    counts: dict[str, list[int]] = {}
    seen: set[object] = set()
    for tensor in tensors:
        found = counts.setdefault(tensor.dtype, [0, 0, 0])
        found[0] += 1
        for part in parts_of(tensor):
            place = (part.record, part.offset, part.shape, part.stride)
            if place not in seen:
                seen.add(place)
                elements = math.prod(part.shape)
                found[1] += elements if tensor.kind == "parameter" else 0
                found[2] += elements * size_of(part.dtype)
    facts = [WeightFacts(dtype=d, tensors=n, parameters=p, bytes=b) for d, (n, p, b) in counts.items()]
    yield from sorted(facts, key=lambda f: (-f.bytes, f.dtype))


def _extern(extern: Extern, problem: Problem | None, here: Installed) -> ExternFacts:
    installed = _installed(extern.distribution, here)
    # Archives of torch.package name modules: most distributions are called like theirs.
    native = here.has_libraries(extern.name)
    return ExternFacts(
        name=extern.name,
        version=extern.version,
        modules=extern.modules,
        needed=not extern.soft,
        here=_presence(problem, installed),
        installed=installed,
        problem=None if problem is None else problem.what,
        fix=None if problem is None else problem.fix,
        native=native,
    )


def _installed(distribution: str | None, here: Installed) -> str | None:
    if distribution is None:
        return None
    try:
        return here.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _presence(problem: Problem | None, installed: str | None) -> Presence:
    if problem is None:
        return "ok"
    if installed is None:
        return "missing"
    return "older" if "too old" in problem.what else "unfit"
