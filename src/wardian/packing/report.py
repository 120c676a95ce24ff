"""The report that packing gives when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wardian.domain.manifest import Extern, Manifest
from wardian.domain.plan import Plan
from wardian.wording import size_text

__all__ = ["Attempt", "PackReport"]

_SHOWN = 2
"""How many attempts that failed, and how many remarks of one kind, a printed report lists."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One proof of the finished case."""

    seconds: float
    """Wall time."""
    failure: str | None
    """Why it failed, in one line; None if it passed."""
    change: str | None
    """The change for the next attempt; None for the last one."""

    def __str__(self) -> str:
        if self.failure is None:
            return f"passed after {self.seconds:.1f} s"
        return f"failed after {self.seconds:.1f} s: {self.failure:.160}; then {self.change}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PackReport:
    """The report of `wardian.pack`."""

    path: Path
    digest: str
    """Identifies the case."""
    size: int
    """Size of the file in bytes."""
    plan: Plan
    manifest: Manifest
    warnings: tuple[str, ...]
    """Reasons why the case may not behave as expected: code for this Python only, files that were
    changed. Each was a `WardianWarning`, too."""
    notes: tuple[str, ...] = ()
    """Remarks about a case that is as it should be: that the model is in training mode, say."""
    left_out: tuple[str, ...]
    """Things that packed code mentions and the case lacks, each with the reason: names of scripts that cannot
    be packed, data files that nothing has read in the run."""
    seconds: Mapping[str, float] = field(compare=False)
    """Wall time of each stage; of the proofs, that of the last one."""
    attempts: tuple[Attempt, ...] = field(default=(), compare=False)
    """The proofs, in order; the last one passed. Empty if there was none."""

    def __repr__(self) -> str:
        return f"<PackReport {self.path}: {size_text(self.size)}; {self.manifest.proven}>"

    def __str__(self) -> str:
        inside = ", ".join(packed.title for packed in self.manifest.distributions)
        hard = _names(extern for extern in self.manifest.externs if not extern.soft)
        soft = _names(extern for extern in self.manifest.externs if extern.soft)
        failed = [str(attempt) for attempt in self.attempts if attempt.failure is not None]
        rows = [
            (
                f"{self.path}: {size_text(self.size)}, {len(self.manifest.records)} records,"
                f" digest {self.digest[:16]}"
            ),
            f"inside: {inside or 'no code'}",
            f"outside: needed: {hard}" + (f"; optional: {soft}" if soft else ""),
            f"proof: {self.manifest.proven}" + (f", at attempt {len(self.attempts)}" if failed else ""),
            *_listed("attempt", failed, "report.attempts"),
            "time: " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items()),
            *_listed("warning", self.warnings, "report.warnings"),
            *_listed("note", self.notes, "report.notes", shown=1),
            *_listed("left out", self.left_out, "report.left_out"),
        ]
        return "\n  ".join(rows)


def _names(externs: Iterable[Extern]) -> str:
    return ", ".join(f"{e.distribution or e.modules[0]} {e.version or ''}".strip() for e in externs)


def _listed(what: str, items: Sequence[str], where: str, *, shown: int = _SHOWN) -> list[str]:
    """Return a line for each of *items*; where they are many, the last line says where the others are."""
    few = items if len(items) <= shown else items[: max(shown - 1, 1)]
    rows = [f"{what}: {' '.join(item.split())}" for item in few]
    more = f"{len(items) - len(few)} more in {where}"
    if few is items:
        return rows
    return [*rows, f"{what}: {more}"] if shown > 1 else [f"{rows[0]} ({more})"]
