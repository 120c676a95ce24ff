"""What a case is, what it needs, what was proven, and whether it fits here."""

from __future__ import annotations

import importlib.metadata
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from wardian.archive import ArchiveReader, FolderReader
from wardian.errors import Problem
from wardian.live.audit import find_problem, find_problems
from wardian.live.foreign import read_manifest
from wardian.manifest import Extern, Manifest, TensorEntry, TensorPart

__all__ = ["ExternFacts", "Presence", "Summary", "WeightFacts", "bytes_of", "size_of"]

Presence = Literal["ok", "missing", "older", "unfit"]
"""It fits; it is not installed; its release is too old; it lacks names that packed code uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternFacts:
    """What the environment must provide, and how it is here."""

    name: str
    """Of the distribution; of the module if no distribution has it."""
    version: str | None
    """The release that the case was packed with."""
    modules: tuple[str, ...]
    needed: bool
    """False for what the case loads and passes its self-test without."""
    here: Presence
    installed: str | None
    """The release that is here."""
    problem: str | None
    """What does not fit, as a sentence; None if all fits."""
    fix: str | None
    """The command that mends it."""


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
    """What a look at a case shows."""

    path: str
    size: int
    """Of the file, in bytes."""
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
    """What this interpreter and the environment lack that the case needs."""

    @property
    def fits_here(self) -> bool:
        """Whether everything that is needed is here, so that `wardian.load` would try."""
        return not self.problems

    @property
    def parameters(self) -> int:
        """Elements of all parameters."""
        return sum(facts.parameters for facts in self.weights)

    @property
    def proof(self) -> str:
        """What was proven when the case was packed, in words."""
        if self.kind != "case":
            return "nothing: archives of torch.package have no proof"
        return self.manifest.proven

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as JSON-able data; docs/reference/cli.md has the keys."""
        manifest = self.manifest
        return {
            "path": self.path,
            "size": self.size,
            "digest": self.digest,
            "kind": self.kind,
            "entries": [
                {"name": e.name, "type": e.type, "self_test": e.test is not None, "outputs": e.outputs}
                for e in manifest.entries
            ],
            "tensors": len(manifest.tensors),
            "parameters": self.parameters,
            "weights": [asdict(facts) for facts in self.weights],
            "code": self.code,
            "distributions": [{"name": d.name, "version": d.version} for d in manifest.distributions],
            "externs": [asdict(facts) for facts in self.externs],
            "mocks": list(manifest.mocks),
            "python": manifest.python.version,
            "torch": manifest.torch,
            "platform": asdict(manifest.platform),
            "bytecode_only": list(manifest.bytecode_only),
            "proof": {"outcome": manifest.proof, "words": self.proof},
            "fits_here": self.fits_here,
            "problems": [{"what": p.what, "fix": p.fix, "module": p.module} for p in self.problems],
            "metadata": dict(manifest.metadata),
        }

    @classmethod
    def of(cls, archive: ArchiveReader | FolderReader, path: str) -> Self:
        """Look at an open archive.

        Args:
            archive: A case, or an archive of torch.package.
            path: How the user called it.

        Raises:
            CorruptCaseError, UnsupportedFormatError: if its manifest cannot be read.
        """
        manifest = read_manifest(archive)
        packed = [name for name in archive.names if name.endswith((".py", ".pyc"))]
        return cls(
            path=path,
            size=len(archive.whole())
            if isinstance(archive, ArchiveReader)
            else sum(map(archive.size, archive.names)),
            kind=archive.kind,
            digest=archive.fingerprint,
            manifest=manifest,
            code=sum(map(archive.size, packed)),
            weights=tuple(_weights(manifest.tensors)),
            externs=tuple(map(_extern, manifest.externs)),
            problems=tuple(find_problems(manifest)),
        )


def _weights(tensors: Iterable[TensorEntry]) -> Iterator[WeightFacts]:
    counts: dict[str, list[int]] = {}
    seen: set[object] = set()
    for tensor in tensors:
        found = counts.setdefault(tensor.dtype, [0, 0, 0])
        found[0] += 1
        for part in _parts(tensor):
            place = (part.record, part.offset, part.shape, part.stride)
            if place not in seen:
                seen.add(place)
                elements = math.prod(part.shape)
                found[1] += elements if tensor.kind == "parameter" else 0
                found[2] += elements * size_of(part.dtype)
    facts = [WeightFacts(dtype=d, tensors=n, parameters=p, bytes=b) for d, (n, p, b) in counts.items()]
    yield from sorted(facts, key=lambda f: (-f.bytes, f.dtype))


def _parts(tensor: TensorEntry) -> Iterator[TensorEntry | TensorPart]:
    """Yield what of a tensor has values in a record: itself, or the parts it is made of."""
    parts = tensor.form.parts.values() if tensor.form is not None else ()
    yield from (part for part in (tensor, *parts) if part.record is not None)


def bytes_of(tensor: TensorEntry) -> int:
    """Return the size of the values of a tensor, in bytes."""
    return sum(math.prod(part.shape) * size_of(part.dtype) for part in _parts(tensor))


_BITS = re.compile(r"[a-z]+(\d+)")


def size_of(dtype: str) -> int:
    """Return the size of an element in bytes, from the name that its dtype has in torch.

    >>> size_of("float32"), size_of("bfloat16"), size_of("float8_e4m3fn"), size_of("quint8"), size_of("bool")
    (4, 2, 1, 1, 1)
    """
    bits = _BITS.match(dtype)
    return 1 if bits is None else max(1, int(bits[1]) // 8)


def _extern(extern: Extern) -> ExternFacts:
    problem = find_problem(extern)
    installed = _installed(extern.distribution)
    return ExternFacts(
        name=extern.distribution or extern.modules[0],
        version=extern.version,
        modules=extern.modules,
        needed=not extern.soft,
        here=_presence(problem, installed),
        installed=installed,
        problem=None if problem is None else problem.what,
        fix=None if problem is None else problem.fix,
    )


def _installed(distribution: str | None) -> str | None:
    if distribution is None:
        return None
    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, KeyError):  # KeyError: one without a version
        return None


def _presence(problem: Problem | None, installed: str | None) -> Presence:
    if problem is None:
        return "ok"
    if installed is None:
        return "missing"
    return "older" if "too old" in problem.what else "unfit"
