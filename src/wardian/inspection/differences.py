"""The differences between two cases: code, tensors, distributions, externs, entry points, proof, notes."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from wardian.archive import ArchiveReader, ParsingBudget
from wardian.domain.manifest import Manifest, TensorEntry, TensorPart
from wardian.domain.names import RecordName
from wardian.domain.record_names import BYTE_ORDER
from wardian.inspection.values import Distance, distance
from wardian.pickling.listing import identity

__all__ = ["Change", "Differences", "TensorChange", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is in one case only, or other in each."""

    what: Literal["distribution", "extern", "entry point", "self-test", "proof", "note", "file"]
    name: str
    before: str | None
    """None if only the second case has it."""
    after: str | None
    """None if only the first case has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorChange:
    """One tensor that is in one case only, or other in each."""

    name: str
    how: Literal["added", "removed", "retyped", "changed"]
    before: str | None
    """Dtype and shape in the first case."""
    after: str | None
    distance: Distance | None
    """How far the values are from each other; None where it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """The differences between two cases."""

    changes: tuple[Change, ...]
    tensors: tuple[TensorChange, ...]
    sources: Mapping[str, tuple[str, ...]]
    """Record of a source or text → the lines of a unified diff."""

    def __bool__(self) -> bool:
        return bool(self.changes or self.tensors)

    def to_plain(self) -> dict[str, Any]:
        """Return the differences as JSON-able data; docs/reference/cli.md has the keys."""
        return {
            "equal": not self,
            "changes": [asdict(change) for change in self.changes],
            "tensors": [asdict(change) for change in self.tensors],
            "sources": {name: list(lines) for name, lines in self.sources.items()},
        }


def compare(before: tuple[ArchiveReader, Manifest], after: tuple[ArchiveReader, Manifest]) -> Differences:
    """Compare two cases, without running anything of them.

    Args:
        before: An open archive with its manifest.
        after: Another one.

    Returns:
        What differs; false if nothing does.

    Raises:
        CorruptCaseError: if a record that differs is damaged.
    """
    files = tuple(_files(before, after))
    texts = _Texts(before[0], after[0])
    sources = {change.name: tuple(texts.diff(change.name)) for change in files if _is_text(change.name)}
    return Differences(
        changes=(*_facts(before[1], after[1]), *_tests(before, after), *files),
        tensors=tuple(_tensors(before, after)),
        sources={name: lines for name, lines in sources.items() if lines},
    )


def _facts(before: Manifest, after: Manifest) -> Iterator[Change]:
    tables: tuple[tuple[Any, Any], ...] = (
        ("entry point", lambda m: {e.name: e.type for e in m.entry_points}),
        (
            "self-test",
            lambda m: {
                e.name: "with outputs" if e.outputs else "inputs only" for e in m.entry_points if e.test
            },
        ),
        ("distribution", lambda m: {d.name: d.version or "" for d in m.distributions}),
        ("extern", lambda m: {e.distribution or e.modules[0]: _extern(e) for e in m.externs}),
        ("proof", lambda m: {"proof": m.proof}),
        ("note", lambda m: m.metadata),
    )
    for what, of in tables:
        old, new = of(before), of(after)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield Change(what=what, name=name, before=old.get(name), after=new.get(name))


def _tests(before: tuple[ArchiveReader, Manifest], after: tuple[ArchiveReader, Manifest]) -> Iterator[Change]:
    """Yield the self-tests that are in both cases and hold something else."""
    old, new = (_held(archive, manifest) for archive, manifest in (before, after))
    for name in sorted(old.keys() & new.keys()):
        (has_outputs, mine), (also, theirs) = old[name], new[name]
        if has_outputs == also and mine != theirs:
            kept, other = (
                ("with outputs", "with other inputs or outputs") if also else ("inputs only", "other inputs")
            )
            yield Change(what="self-test", name=name, before=kept, after=other)


def _held(archive: ArchiveReader, manifest: Manifest) -> dict[str, tuple[bool, str]]:
    """Return whether the self-test of each entry point has outputs, and a digest of what it holds."""
    budget = ParsingBudget(archive)
    digests = {name: digest.hex for name, digest in manifest.records.items()}
    tests = {e.name: (e.outputs, budget.read(RecordName(e.test))) for e in manifest.entry_points if e.test}
    return {
        name: (outputs, identity(content, digests))
        for name, (outputs, content) in tests.items()
        if content is not None
    }


def _extern(extern: Any) -> str:
    return f"{extern.version or ''} ({'optional' if extern.soft else 'needed'})".strip()


def _files(before: tuple[ArchiveReader, Manifest], after: tuple[ArchiveReader, Manifest]) -> Iterator[Change]:
    old, new = (_digests(archive, manifest) for archive, manifest in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Change(what="file", name=name, before=old.get(name), after=new.get(name))


def _digests(archive: ArchiveReader, manifest: Manifest) -> dict[str, str]:
    """Return the digests of what is neither a weight, nor bytecode, nor written by Wardian for itself."""
    names = [n for n in archive.names if not n.startswith(".") and n != BYTE_ORDER]
    if archive.kind == "case":
        return {name: manifest.records[name].hex for name in names}
    return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


_TEXT = (".py", ".pyi", ".json", ".txt", ".md", ".yaml", ".yml", ".toml", ".cfg", ".ini")


def _is_text(name: str) -> bool:
    return name.endswith(_TEXT)


_FREE_PAIRS = 4_000_000
_MOST_PAIRS = 16
"""Pairs of lines that are compared in one look: so many, and for each byte of the two files. difflib needs
many times that for texts that were made for it."""


class _Texts:
    """The texts of two archives, compared as long as that is worth it."""

    def __init__(self, before: ArchiveReader, after: ArchiveReader) -> None:
        self._archives = (before, after)
        self._budgets = (ParsingBudget(before), ParsingBudget(after))
        self._pairs = _FREE_PAIRS + _MOST_PAIRS * (len(before) + len(after))

    def diff(self, name: str) -> Iterator[str]:
        """Yield the lines of a unified diff, or one that says that it would take too long."""
        record = RecordName(name)
        texts: list[list[str] | None] = []
        for archive, budget in zip(self._archives, self._budgets, strict=True):
            content = budget.read(record) if record in archive else b""
            texts.append(None if content is None else content.decode("utf-8", "replace").splitlines())
        old, new = texts
        if old is None or new is None or (pairs := _pairs(old, new)) > self._pairs:
            yield f"{name}: too much differs to be shown; wardian extract writes it from each"
            return
        self._pairs -= pairs
        yield from difflib.unified_diff(
            old,
            new,
            f"a/{name}" if record in self._archives[0] else "/dev/null",
            f"b/{name}" if record in self._archives[1] else "/dev/null",
            lineterm="",
        )


def _pairs(old: list[str], new: list[str]) -> int:
    """Return how many pairs of lines difflib has to look at.

    Those are all between what is the same at the start and at the end, and those of equal lines anywhere,
    but for lines that it leaves out because they are frequent.
    """
    least = min(len(old), len(new))
    same = next((i for i in range(least) if old[i] != new[i]), least)
    end = next((i for i in range(least - same) if old[~i] != new[~i]), least - same)
    frequent = len(new) // 100 + 1 if len(new) >= 200 else len(new)  # as in SequenceMatcher
    counts = Counter(new)
    equal = sum(counts[line] for line in old if counts[line] <= frequent)
    return (len(old) - same - end) * (len(new) - same - end) + equal


def _tensors(
    before: tuple[ArchiveReader, Manifest], after: tuple[ArchiveReader, Manifest]
) -> Iterator[TensorChange]:
    old, new = ({(t.entry, t.name): t for t in manifest.tensors} for _, manifest in (before, after))
    for key in sorted(old.keys() | new.keys()):
        mine, theirs = old.get(key), new.get(key)
        how: Literal["added", "removed", "retyped", "changed"]
        gap = None
        if mine is None or theirs is None:
            how = "added" if mine is None else "removed"
        elif (mine.dtype, mine.shape, mine.form is None) != (theirs.dtype, theirs.shape, theirs.form is None):
            how = "retyped"
        elif _place(before[1], mine) == _place(after[1], theirs):
            continue
        else:
            how = "changed"
            if mine.record is not None and theirs.record is not None:
                gap = distance((before[0], mine), (after[0], theirs))
                if gap is not None and gap.equal:
                    continue
        yield TensorChange(
            name=key[1] if len(before[1].entries) == 1 else ":".join(key),
            how=how,
            before=None if mine is None else _type(mine),
            after=None if theirs is None else _type(theirs),
            distance=gap,
        )


def _type(tensor: TensorEntry) -> str:
    layout = "" if tensor.form is None else f" {tensor.form.type or tensor.form.layout}"
    return f"{tensor.dtype}{list(tensor.shape)}{layout}"


def _place(manifest: Manifest, tensor: TensorEntry) -> tuple[object, ...]:
    """Return what tells the values of a tensor from others, without the names of records."""
    parts = () if tensor.form is None else sorted(tensor.form.parts.items())
    return (
        *_values(manifest, tensor),
        tensor.form and replace(tensor.form, parts={}),
        *((role, *_values(manifest, part)) for role, part in parts),
    )


def _values(manifest: Manifest, tensor: TensorEntry | TensorPart) -> tuple[object, ...]:
    digest = None if tensor.record is None else manifest.records[tensor.record].hex
    return digest, tensor.offset, tensor.stride, tensor.shape, tensor.dtype
