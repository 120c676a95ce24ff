"""The pages of the looking commands: facts as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from wardian.cli.output import Line, columns, command
from wardian.cli.signatures import Found
from wardian.domain.provenance import KEY, Provenance
from wardian.errors import EnvironmentMismatchError
from wardian.inspection.capabilities import Capability
from wardian.wording import count_text, size_text

if TYPE_CHECKING:  # each command imports what it needs
    from wardian.inspection.audit import Audit
    from wardian.inspection.differences import Change, Differences, TensorChange
    from wardian.inspection.summary import ExternFacts, Summary
    from wardian.trust.rules import Breach
    from wardian.trust.signatures import Signature

__all__ = ["audit_page", "diff_page", "info_page"]

_LABEL = 12
_SHOWN = 20
"""Tensors or files of a kind that a page lists; the rest is counted. `--json` has all."""
_NOTES = 8
"""Notes of the packer that a page lists, each cut to `_NOTE` characters."""
_NOTE = 60
_LINES = 100
"""Lines of the difference of one source that a page shows."""


def info_page(summary: Summary, signed: Found) -> Iterator[Line | str]:
    """Yield the lines of `wardian info`.

    Args:
        summary: The facts.
        signed: Signatures beside the file.
    """
    manifest = summary.manifest
    kind = "an archive of torch.package" if summary.kind == "torch.package" else "a case"
    yield f"{summary.path}: {kind}, {size_text(summary.size)}"
    for entry in manifest.entry_points:
        yield _fact("object", ": ".join(filter(None, (entry.name, summary.what(entry)))))
    yield _fact("weights", _weights(summary))
    yield _fact("digest", summary.digest)
    for number, signature in enumerate(signed.signatures or ()):
        yield _fact("" if number else "signed by", _signer(signature, signed))
    if signed.signatures and not signed.checked:
        yield _fact("", "as the file beside it says; not checked: wardian verify --signers")
    yield from signed.problem_lines(" " * (_LABEL + 2))
    if manifest.python.version:
        torch = manifest.torch and f"torch {manifest.torch}"
        platform = f"{manifest.platform.system} {manifest.platform.machine}".strip()
        made = (f"Python {manifest.python.version}", torch, platform)
        yield _fact("made with", ", ".join(filter(None, made)))
    origin = Provenance.of(manifest.metadata)
    for line in () if origin is None else _origin(origin):
        yield _fact("made from" if line.startswith("commit") else "made by", line)
    for number, line in enumerate(_notes(manifest.metadata, () if origin is None else (KEY,))):
        yield _fact("" if number else "notes", line)
    inside = ", ".join(packed.title for packed in manifest.distributions)
    yield _fact("inside", f"{inside}; code {size_text(summary.code)}" if inside else "no code")
    if summary.licences:
        yield _fact("licences", _licences(summary))
    for number, line in enumerate(_externs(summary.externs)):
        yield _fact("" if number else "outside", line)
    yield _fact("native", ", ".join(_native(summary)) or "no compiled libraries that are known")
    yield _fact("proven", summary.proof)
    tested = [e.name for e in manifest.entries if e.test is not None]
    yield _fact("self-test", command("wardian", "check", summary.path) if tested else "none")
    if summary.kind == "torch.package":
        yield _fact("not said", "such a file has no digests of its records, no versions, no index of weights")
    yield _fact("fits here", "yes" if summary.fits_here else "no")
    for problem in summary.problems:
        yield Line(problem.what, "    ")
        if problem.fix:
            yield f"      fix: {problem.fix}"
    joint = EnvironmentMismatchError("", problems=summary.problems).command
    if joint and len(summary.problems) > 1:
        yield Line("all at once:", "    ")
        yield f"      fix: {joint}"


def _origin(origin: Provenance) -> Iterator[str]:
    for repository in origin.repositories:
        changed = ", changed since" if repository.changed else ""
        yield f"commit {repository.commit or 'none'}{changed} ({', '.join(repository.modules)})"
    yield origin.command


def _notes(metadata: Mapping[str, str], told: Iterable[str]) -> Iterator[str]:
    """Yield the packer's notes, but for those that are told already."""
    notes = {key: value for key, value in metadata.items() if key not in told}
    for key, value in list(notes.items())[:_NOTES]:
        yield f"{_cut(key)}: {_cut(value)}"
    if len(notes) > _NOTES:
        yield f"and {len(notes) - _NOTES} more; all of them: --json"


def _cut(text: str) -> str:
    """Return the beginning of a text, in one line."""
    words = " ".join(text.split())
    return words if len(words) <= _NOTE else f"{words[: _NOTE - 1]}…"


def _signer(signature: Signature, signed: Found) -> str:
    key = f"{signature.key} {signature.fingerprint}"
    if not signed.checked:
        return key
    return f"{signature.signer}, {key}" if signature.signer else f"nobody you trust: the key is {key}"


def _fact(label: str, text: str) -> Line:
    return Line(text, f"  {label:<{_LABEL}}")


def _licences(summary: Summary) -> str:
    counts = Counter(licence.expression or "not stated" for licence in summary.licences)
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))


def _weights(summary: Summary) -> str:
    if not summary.weights:
        count, size = summary.storages
        if not count:
            return "none"
        told = f"{size_text(size)} in {count_text(count, 'storage')}"
        if summary.kind == "case":
            return f"{told}, without names"
        return f"{told}, without an index; wardian weights writes what the modules hold"
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


def _native(summary: Summary) -> Iterator[str]:
    """Yield what brings compiled libraries: records of the file, and externs that are installed here."""
    operators = {library.record for library in summary.manifest.libraries}
    inside = [
        f"{record} (inside{', operators' if record in operators else ''})" for record in summary.libraries
    ]
    few = _fitting(inside)
    yield from few
    if len(inside) > len(few):
        yield f"and {len(inside) - len(few)} more inside"
    outside = [extern.name for extern in summary.externs if extern.native]
    if outside:
        yield f"{', '.join(outside)} (outside)"


def _fitting(texts: Sequence[str]) -> Sequence[str]:
    """Return the first of some texts: as many as have room in two lines of a page, and one at least."""
    room = 2 * (80 - _LABEL - 2)
    ends = accumulate(len(text) + 2 for text in texts)
    return texts[: max(1, sum(end <= room for end in ends))]


def _here(extern: ExternFacts) -> str:
    if extern.here == "missing" or extern.installed in (None, extern.version):
        return extern.here
    return f"{extern.here} ({extern.installed})"


_PLACES = 5
"""Places of one kind that a page lists."""


def audit_page(
    audit: Audit, breaches: Sequence[Breach] | None = None, *, shows_all: bool
) -> Iterator[Line | str]:
    """Yield the lines of `wardian audit`.

    Args:
        audit: The findings.
        breaches: What breaks the policy; None without one.
        shows_all: Whether to list every place.
    """
    from wardian.inspection.audit import WHEN

    if breaches is not None:
        yield from _verdict(breaches, shows_all=shows_all)
    for capability in Capability:
        mine = [finding for finding in audit.findings if finding.capability == capability]
        counts = {when: sum(finding.when == when for finding in mine) for when in WHEN}
        if not any(counts.values()):
            continue
        told = ", ".join(f"{number} {WHEN[when]}" for when, number in counts.items() if number)
        yield f"{capability}: {told}"
        shown = mine if shows_all else [f for f in mine if f.when != "elsewhere"][:_PLACES]
        for finding in shown:
            yield Line(f"{finding}", f"    {WHEN[finding.when]:<10}")
        if len(mine) > len(shown):
            more = f"and {len(mine) - len(shown)} more; list them" if shown else "list them"
            yield Line(f"{more}: --all", "    ")
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
    if audit.findings:
        yield "at import: as the module is imported; reachable: the object could call it; elsewhere: neither"
    yield "This was read off the code, and informs; it cannot prove that code does no harm."


def _verdict(breaches: Sequence[Breach], *, shows_all: bool) -> Iterator[Line | str]:
    yield f"policy: {'broken' if breaches else 'kept'}"
    for rule, whats in _by_rule(breaches).items():
        yield Line(rule, "    ")
        few = whats if shows_all else whats[:_PLACES]
        for what in few:
            yield Line(what, "        ")
        if len(whats) > len(few):
            yield Line(f"and {len(whats) - len(few)} more; list them: --all", "        ")
        for fix in dict.fromkeys(breach.fix for breach in breaches if breach.rule == rule and breach.fix):
            yield f"        fix: {fix}"


def _by_rule(breaches: Iterable[Breach]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for breach in breaches:
        found.setdefault(breach.rule, []).append(breach.what)
    return found


def diff_page(differences: Differences, *, shows_all: bool = False) -> Iterator[Line]:
    """Yield the lines of `wardian diff`: a count of each kind, code, what is installed, the rest, tensors.

    Args:
        differences: What differs.
        shows_all: Whether to show all of it, with the texts of files that only one case has.
    """
    most = None if shows_all else _SHOWN
    if not differences:
        yield Line("no difference in what the files declare; wardian verify checks their bytes")
        return
    yield Line(_differing(differences), below="    ")
    for text in _files(differences, most):
        yield Line(text, below="    ")
    yield from _sources(differences, shows_all=shows_all)
    for text, style in _facts(differences):
        yield Line(text, below="    ", style=style)
    for text in _tensors(differences, most):
        yield Line(text, below="    ")


def _differing(differences: Differences) -> str:
    """Return how many of each kind differ, in the order of the page."""
    files = sum(change.what == "file" for change in differences.changes)
    kinds: Counter[str] = Counter(change.what for change in _in_order(differences))
    counts = {"file": files, **kinds, "tensor": len(differences.tensors)}
    told = [kind if kind == "proof" else count_text(count, kind) for kind, count in counts.items() if count]
    return f"differs: {', '.join(told)}"


def _sources(differences: Differences, *, shows_all: bool) -> Iterator[Line]:
    """Yield the differences of texts that both cases have; with *shows_all* of those that one has, too."""
    whole = {change.name for change in differences.changes if change.what == "file" and _is_one_sided(change)}
    sources = {name: lines for name, lines in differences.sources.items() if shows_all or name not in whole}
    for number, (name, lines) in enumerate(sources.items()):
        if number == _SHOWN and not shows_all:
            yield Line(
                f"and {len(sources) - number} more sources are changed; show them: --all", below="    "
            )
            break
        for line in lines if shows_all else lines[:_LINES]:
            yield Line(line, is_whole=True, style=_style(line[:1]))
        if len(lines) > _LINES and not shows_all:
            yield Line(f"and {len(lines) - _LINES} more lines of {name}; show them: --all", below="    ")


def _is_one_sided(change: Change) -> bool:
    return change.before is None or change.after is None


def _files(differences: Differences, most: int | None) -> Iterator[str]:
    """Yield the files that only one case has, and those that differ and are no texts."""
    files = [change for change in differences.changes if change.what == "file"]
    for how, mine in (
        ("removed", [change for change in files if change.after is None]),
        ("added", [change for change in files if change.before is None]),
        (
            "changed",
            [c for c in files if not _is_one_sided(c) and c.name not in differences.sources],
        ),
    ):
        for change in mine[:most]:
            yield f"file {change.name}: {how}"
        if most is not None and len(mine) > most:
            yield f"and {len(mine) - most} more files are {how}; list them: --all"


def _in_order(differences: Differences) -> list[Change]:
    """Return what differs beside files and tensors: first libraries, inside and outside."""
    facts = [change for change in differences.changes if change.what != "file"]
    return sorted(facts, key=lambda change: change.what not in ("distribution", "extern"))


def _facts(differences: Differences) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what differs beside files and tensors, each fact in one line."""
    for change in _in_order(differences):
        if change.what == "note":
            yield f"note {_cut(change.name)}: {_note_change(change)}", {}
        elif change.before is None or change.after is None:
            sign, value = ("+", change.after) if change.before is None else ("-", change.before)
            yield f"{sign} {change.what} {change.name} {value}".rstrip(), _style(sign)
        else:
            name = "" if change.name == change.what else f" {change.name}"
            yield f"{change.what}{name}: {change.before} became {change.after}", {}


def _tensors(differences: Differences, most: int | None) -> Iterator[str]:
    """Yield the tensors that differ, each in one line, no more than *most* of a kind."""
    for how in ("removed", "added", "retyped", "changed"):
        mine = [tensor for tensor in differences.tensors if tensor.how == how]
        for tensor in mine[:most]:
            yield f"tensor {tensor.name}: {_how(tensor)}"
        if most is not None and len(mine) > most:
            yield f"and {len(mine) - most} more tensors are {how}; list them: --all"


def _note_change(change: Change) -> str:
    if change.before is None:
        return f"added, {_cut(change.after or '')}"
    if change.after is None:
        return f"removed, {_cut(change.before)}"
    before, after = _cut(change.before), _cut(change.after)
    return "another text" if before == after else f"{before} became {after}"


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
