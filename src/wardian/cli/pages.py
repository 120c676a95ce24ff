"""The pages of the looking commands: facts as lines of text, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from wardian.cli.output import columns
from wardian.decisions import size_text
from wardian.inspection.audit import Audit
from wardian.inspection.capabilities import Capability
from wardian.inspection.differences import Differences, TensorChange
from wardian.inspection.summary import ExternFacts, Summary

__all__ = ["audit_page", "diff_page", "info_page"]

_WIDTH = 80
_LABEL = 12
_SHOWN = 20
"""Tensors of a kind that a page lists; the rest is counted. `--json` has all."""


def info_page(summary: Summary) -> Iterator[str]:
    """Yield the lines of `wardian info`."""
    manifest = summary.manifest
    kind = "an archive of torch.package" if summary.kind == "torch.package" else "a case"
    yield f"{summary.path}: {kind}, {size_text(summary.size)}"
    for entry in manifest.entries:
        yield from _fact("object", f"{entry.name}: {entry.type}" if entry.type else entry.name)
    yield from _fact("weights", _weights(summary))
    yield from _fact("digest", summary.digest)
    if manifest.python.version:
        made = f"Python {manifest.python.version}, torch {manifest.torch}"
        platform = f"{manifest.platform.system} {manifest.platform.machine}".strip()
        yield from _fact("made with", ", ".join(filter(None, (made, platform))))
    inside = ", ".join(f"{d.name} {d.version or ''}".strip() for d in manifest.distributions)
    yield from _fact("inside", f"{inside}; code {size_text(summary.code)}" if inside else "no code")
    for number, line in enumerate(_externs(summary.externs)):
        yield from _fact("" if number else "outside", line)
    yield from _fact("proven", summary.proof)
    tested = [e.name for e in manifest.entries if e.test is not None]
    yield from _fact("self-test", f"wardian check {summary.path}" if tested else "none")
    if summary.kind == "torch.package":
        yield from _fact(
            "not said", "such a file has no digests of its records, no versions, no index of weights"
        )
    yield from _fact("fits here", "yes" if summary.fits_here else "no")
    for problem in summary.problems:
        yield f"    {problem.what}"
        if problem.fix:
            yield f"      fix: {problem.fix}"


def _fact(label: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, _WIDTH - _LABEL - 2, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        yield f"  {'' if number else label:<{_LABEL}}{line}"


def _weights(summary: Summary) -> str:
    if not summary.weights:
        return "none that can be read without code"
    by_dtype = ", ".join(f"{facts.dtype} {size_text(facts.bytes)}" for facts in summary.weights)
    tensors = sum(facts.tensors for facts in summary.weights)
    return f"{summary.parameters:,} parameters, {tensors:,} tensors: {by_dtype}"


def _externs(externs: Iterable[ExternFacts]) -> list[str]:
    rows = [
        (
            f"{extern.name} {extern.version or ''}".strip(),
            "needed" if extern.needed else "optional",
            f"here: {_here(extern)}",
        )
        for extern in sorted(externs, key=lambda e: (not e.needed, e.name))
    ]
    return columns(rows) if rows else ["nothing"]


def _here(extern: ExternFacts) -> str:
    if extern.here == "missing" or extern.installed in (None, extern.version):
        return extern.here
    return f"{extern.here} ({extern.installed})"


_WHEN = {
    "import": "when it is imported",
    "reachable": "when the object is used",
    "elsewhere": "in code that the object does not reach",
}
_PLACES = 5
"""Places of one kind that a page lists."""


def audit_page(audit: Audit, *, shows_all: bool) -> Iterator[str]:
    """Yield the lines of `wardian audit`.

    Args:
        audit: The findings.
        shows_all: Whether to list every place.
    """
    for capability in Capability:
        mine = [finding for finding in audit.findings if finding.capability == capability]
        counts = {when: sum(finding.when == when for finding in mine) for when in _WHEN}
        if not any(counts.values()):
            continue
        told = ", ".join(f"{number} {_WHEN[when]}" for when, number in counts.items() if number)
        yield f"{capability}: {told}"
        shown = mine if shows_all else [f for f in mine if f.when != "elsewhere"][:_PLACES]
        for finding in shown:
            yield f"    {finding} ({_WHEN[finding.when]})"
        if len(mine) > len(shown) and not shows_all:
            yield f"    and {len(mine) - len(shown)} more; list them: --all"
    doubtful = [g for g in audit.globals if g.capability is not None or g.where == "not declared"]
    for found in doubtful:
        what = found.capability or "not declared as an extern"
        yield f"the pickle {found.record} names {found.module}.{found.qualname}: {what}"
    for record in audit.unlike:
        yield f"{record} does not compile from its source"
    for record in audit.unreadable:
        yield f"{record} cannot be read"
    if audit.unchecked:
        yield f"{len(audit.unchecked)} records of bytecode are of another Python, and were not compared"
    yield f"{len(audit.globals)} classes and functions are named by pickles; list them: --json"
    yield "This was read off the code, and informs; it cannot prove that code does no harm."


def diff_page(differences: Differences) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the lines of `wardian diff`, each with its style."""
    if not differences:
        yield "no difference", {}
    for change in differences.changes:
        if change.name in differences.sources:
            continue
        if change.what == "file":
            how = "added" if change.before is None else "removed" if change.after is None else "changed"
            yield f"file {change.name}: {how}", {}
        elif change.before is None or change.after is None:
            sign, value = ("+", change.after) if change.before is None else ("-", change.before)
            yield f"{sign} {change.what} {change.name} {value}".rstrip(), _style(sign)
        else:
            yield f"{change.what} {change.name}: {change.before} became {change.after}", {}
    for how in ("removed", "added", "retyped", "changed"):
        mine = [tensor for tensor in differences.tensors if tensor.how == how]
        for tensor in mine[:_SHOWN]:
            yield f"tensor {tensor.name}: {_how(tensor)}", {}
        if len(mine) > _SHOWN:
            yield f"and {len(mine) - _SHOWN} more tensors are {how}; --json lists them", {}
    for lines in differences.sources.values():
        for line in lines:
            yield line, _style(line[:1])


def _style(sign: str) -> dict[str, Any]:
    colors = {"+": "green", "-": "red", "@": "cyan"}
    return {"fg": colors[sign]} if sign in colors else {}


def _how(change: TensorChange) -> str:
    if change.how in ("added", "removed"):
        return f"{change.how}, {change.before or change.after}"
    if change.how == "retyped":
        return f"{change.before} became {change.after}"
    if change.distance is None:
        return f"other values, {change.after}"
    return f"differs by up to {change.distance.largest:.3g}, {change.distance.mean:.3g} on average"
