"""What differs between two cases: code, tensors, distributions, externs, entry points, proof."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from wardian.archive import ArchiveReader
from wardian.inspection.values import Distance, distance
from wardian.manifest import Manifest, TensorEntry, TensorPart
from wardian.names import RecordName

__all__ = ["Change", "Differences", "TensorChange", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is in one case only, or other in each."""

    what: Literal["distribution", "extern", "entry point", "self-test", "proof", "file"]
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
    """What differs between two cases."""

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
    sources = {
        change.name: tuple(_diff(before[0], after[0], change.name))
        for change in files
        if _is_text(change.name)
    }
    return Differences(
        changes=(*_facts(before[1], after[1]), *files),
        tensors=tuple(_tensors(before, after)),
        sources={name: lines for name, lines in sources.items() if lines},
    )


def _facts(before: Manifest, after: Manifest) -> Iterator[Change]:
    tables: tuple[tuple[Any, Any], ...] = (
        ("entry point", lambda m: {e.name: e.type for e in m.entries}),
        (
            "self-test",
            lambda m: {e.name: "with outputs" if e.outputs else "inputs only" for e in m.entries if e.test},
        ),
        ("distribution", lambda m: {d.name: d.version or "" for d in m.distributions}),
        ("extern", lambda m: {e.distribution or e.modules[0]: _extern(e) for e in m.externs}),
        ("proof", lambda m: {"proof": m.proof}),
    )
    for what, of in tables:
        old, new = of(before), of(after)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield Change(what=what, name=name, before=old.get(name), after=new.get(name))


def _extern(extern: Any) -> str:
    return f"{extern.version or ''} ({'optional' if extern.soft else 'needed'})".strip()


def _files(before: tuple[ArchiveReader, Manifest], after: tuple[ArchiveReader, Manifest]) -> Iterator[Change]:
    old, new = (_digests(archive, manifest) for archive, manifest in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Change(what="file", name=name, before=old.get(name), after=new.get(name))


def _digests(archive: ArchiveReader, manifest: Manifest) -> dict[str, str]:
    """Return the digests of what is neither a weight, nor bytecode, nor written by Wardian for itself."""
    names = [n for n in archive.names if not n.startswith(".") and n != "byteorder"]
    if archive.kind == "case":
        return {name: manifest.records[name].hex for name in names}
    return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


_TEXT = (".py", ".pyi", ".json", ".txt", ".md", ".yaml", ".yml", ".toml", ".cfg", ".ini")


def _is_text(name: str) -> bool:
    return name.endswith(_TEXT)


def _diff(before: ArchiveReader, after: ArchiveReader, name: str) -> Iterator[str]:
    record = RecordName(name)
    old, new = (
        archive.read(record).decode("utf-8", "replace").splitlines() if record in archive else []
        for archive in (before, after)
    )
    yield from difflib.unified_diff(
        old,
        new,
        f"a/{name}" if record in before else "/dev/null",
        f"b/{name}" if record in after else "/dev/null",
        lineterm="",
    )


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
