"""Facts about a case as one HTML page: the template gets plain data, and escapes all of it.

The page asks for nothing: styles, script and pictures are in it, and its Content-Security-Policy allows just
these, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from wardian.archive import ArchiveReader
from wardian.collector import collector_paused
from wardian.domain.manifest import Manifest
from wardian.domain.record_names import BYTE_ORDER
from wardian.inspection.audit import WHEN, Audit, Finding, audit
from wardian.inspection.capabilities import Capability
from wardian.inspection.imports import Step, find_steps
from wardian.inspection.summary import Summary
from wardian.inspection.treemap import Box
from wardian.inspection.weights import TensorFacts, maps_of_weights, tensor_facts
from wardian.reading.licences import licences_of
from wardian.wording import count_text, size_text

__all__ = ["report_page"]

_WIDE, _NARROW = Box(0, 0, 1200, 480), Box(0, 0, 400, 520)
_MOST = 2000
"""Modules, findings of a capability, and globals that the page lists; the rest is counted."""

_WAYS: Mapping[Capability, str] = {
    Capability.NETWORK: "use the network",
    Capability.READS: "read files",
    Capability.WRITES: "write files",
    Capability.PROCESSES: "start programs",
    Capability.THREADS: "start threads",
    Capability.NATIVE: "run compiled code",
    Capability.CODE: "make code as it runs",
    Capability.IMPORTS: "import modules by computed names",
    Capability.ENVIRONMENT: "read the environment",
    Capability.UNPICKLING: "unpickle data",
}
_HOW = {"guarded": "may fail", "function": "in a function", "observed": "seen while it ran"}
_NONE_SEEN = {
    "inside": "came with its distribution",
    "outside": "no source shows an import of it",
    "mocked": "a stand-in takes its place",
    "hidden": "was not installed when the file was made",
}


@collector_paused()
def report_page(archive: ArchiveReader, manifest: Manifest, path: str) -> str:
    """Return the report of a file as HTML. Nothing of the file is run.

    Args:
        archive: An open case, or an archive of torch.package.
        manifest: What it says about itself.
        path: How the user called it.

    Raises:
        CorruptCaseError: if a record is damaged.
    """
    summary = Summary.of(archive, path, manifest)
    found = audit(archive, manifest)
    steps = find_steps(archive, manifest)
    tensors = list(tensor_facts(manifest))
    licences = licences_of(archive, manifest)
    style, script, page = map(_text_of, ("page.css", "page.js", "page.html.j2"))
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # the template has no constant to fold
    )
    environment.undefined = jinja2.StrictUndefined
    environment.filters["size"] = size_text
    environment.filters["count"] = count_text
    template = environment.from_string(page)
    ways = [
        words
        for capability, words in _WAYS.items()
        if any(f.capability == capability and f.when != "elsewhere" for f in found.findings)
    ]
    dtypes = [facts.dtype for facts in summary.weights]
    data = _data_files(archive, manifest)
    return template.render(
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'",
        summary=summary,
        manifest=manifest,
        name=path.replace("\\", "/").rpartition("/")[2],
        title=_title(summary),
        sentences=_sentences(summary, ways),
        ways=ways,
        licences=licences,
        licence_line=_licence_line(licences),
        none_seen=_NONE_SEEN,
        capabilities=_capabilities(found),
        audit=found,
        steps=_rows(steps[:_MOST]),
        left_out=max(len(steps) - _MOST, 0),
        inside=_inside(manifest, steps),
        reasons=_reasons(steps),
        data=data[:_MOST],
        more_data=max(len(data) - _MOST, 0),
        dtypes=dtypes,
        color={dtype: index % 6 for index, dtype in enumerate(dtypes)},
        maps=_maps(tensors),
        shared=sum(bool(tensor.shared_with) for tensor in tensors),
        most=_MOST,
        when=WHEN,
    )


def _text_of(name: str) -> str:
    """Return a file beside this module; importlib.resources takes longer to import than to read it."""
    return Path(__file__).with_name(name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _title(summary: Summary) -> str:
    types = [summary.what(entry).rpartition(".")[2] or entry.name for entry in summary.manifest.entry_points]
    more = f" and {len(types) - 3} more" if len(types) > 3 else ""
    return (", ".join(types[:3]) or "nothing") + more


def _sentences(summary: Summary, ways: list[str]) -> list[str]:
    """Return the summary for whoever decides whether the file is used."""
    weights = " and ".join(f"{size_text(w.bytes)} of {w.dtype}" for w in summary.weights[:3])
    packed = [d.version is not None for d in summary.manifest.distributions]
    own = ["code of its own"] if not all(packed) else []
    inside = own + ([count_text(sum(packed), "distribution")] if any(packed) else [])
    outside = sum(extern.needed for extern in summary.externs)
    return [
        f"The file holds {_title(summary)}"
        + (
            f" with {summary.parameters:,} parameters; all tensors, buffers too, are {weights}."
            if weights
            else f", and {size_text(summary.storages[1])} of tensors without an index of their names."
            if summary.storages[0]
            else ", and no weights."
        ),
        f"Inside: {_listing(inside) if inside else 'no code'}."
        + (
            f" To be installed: {count_text(outside, 'distribution')}."
            if outside
            else " Nothing else is needed."
        ),
        f"Beside computing, its code has ways to {_listing(ways)}."
        if ways
        else "No code that can run was seen to do anything beside computing.",
    ]


def _listing(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _licence_line(licences: Mapping[str, str | None]) -> str:
    counts = Counter(licence or "not stated" for licence in licences.values())
    return "; ".join(f"{name} ({count})" if count > 1 else name for name, count in counts.most_common())


def _capabilities(found: Audit) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for capability in Capability:
        mine = [f for f in found.findings if f.capability == capability]
        if mine:
            counts = Counter(f.when for f in mine)
            shown = [f for f in mine if f.when != "elsewhere"][:_MOST]
            rows.append(
                {
                    "name": str(capability),
                    "counts": [(counts[when], words) for when, words in WHEN.items() if counts[when]],
                    "records": _by_record(shown),
                    "more": len(mine) - len(shown),
                }
            )
    return rows


def _by_record(findings: Iterable[Finding]) -> dict[str, dict[str, str]]:
    """Return for each record the names that say what code could do, with their lines as text."""
    found: dict[str, dict[str, list[str]]] = {}
    for finding in sorted(findings, key=lambda f: (f.record, f.line)):
        lines = found.setdefault(finding.record, {}).setdefault(finding.name, [])
        if finding.line:
            lines.append(f"{finding.line}{'*' if finding.when == 'import' else ''}")
    return {
        record: {name: ", ".join(lines) for name, lines in names.items()} for record, names in found.items()
    }


def _rows(steps: list[Step]) -> list[dict[str, Any]]:
    """Return the modules with the places of their importers in the list, so that chains can be followed."""
    places = {step.module: index for index, step in enumerate(steps)}
    rows: list[dict[str, Any]] = []
    for step in steps:
        to = None if step.importer is None else places.get(step.importer)
        # The importer is a link: its name need not stand there twice.
        line = step.reason.partition(": ")[0].rpartition(":")[2] if to is not None else ""
        line = line if line.isdigit() else ""
        how = _HOW.get(step.reason.rpartition(" (")[2].rstrip(")"), "") if line else ""
        rows.append({"step": step, "to": to, "line": line, "how": how})
    return rows


def _inside(manifest: Manifest, steps: list[Step]) -> Mapping[str, tuple[int, int]]:
    """Return how many modules of each distribution are inside, and their bytes."""
    found = {d.name: (0, 0) for d in manifest.distributions}
    for step in steps:
        if step.where == "inside" and step.owner in found:
            count, size = found[step.owner]
            found[step.owner] = (count + 1, size + step.size)
    return found


def _data_files(archive: ArchiveReader, manifest: Manifest) -> list[tuple[str, int]]:
    """Return the records that are neither code, nor pickles of entry points, nor made by Wardian."""
    pickles = {entry.record for entry in manifest.entries} | {BYTE_ORDER}
    return [
        (name, archive.size(name))
        for name in sorted(archive.names)
        if not name.startswith(".") and not name.endswith((".py", ".pyc")) and name not in pickles
    ]


def _reasons(steps: list[Step]) -> Mapping[str, str]:
    """Return one import for each distribution: the first that an entry point or another distribution has."""
    owners = {step.module: step.owner for step in steps}
    found: dict[str, str] = {}
    for step in steps:
        if step.owner and step.reason and owners.get(step.importer or "") != step.owner:
            found.setdefault(step.owner, step.reason.removesuffix(" (unconditional)"))
    return found


def _maps(tensors: list[TensorFacts]) -> list[dict[str, Any]]:
    if not any(tensor.bytes for tensor in tensors):
        return []
    boxes = {"wide": _WIDE, "narrow": _NARROW}
    maps = maps_of_weights(tensors, boxes.values())
    return [
        {"name": name, "box": box, "cells": cells}
        for (name, box), cells in zip(boxes.items(), maps, strict=True)
    ]
