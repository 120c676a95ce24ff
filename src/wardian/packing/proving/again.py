"""The proof of the same code again, as of a checkpoint in every epoch: it begins with its externs imported.

The first proof of some code imports all anew, and has the files that the code looks at made anew. If it
passed, the next one of the same code, with other weights, forks from a process that has imported the modules
of hard externs that the first one had imported, in the same order, and nothing that was packed; and it finds
those files: docs/design/templates.md.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from wardian.domain.manifest import Manifest
from wardian.domain.record_names import is_storage
from wardian.forks import after_fork
from wardian.processes.clean import CleanProcesses, Start
from wardian.processes.folders import WorkFolder

__all__ = ["beginning_as_last", "begun_as_last", "note_proven"]

_PREPARE = "wardian.packing.proving.in_child.import_externs"


@dataclass(frozen=True, slots=True)
class _Proven:
    manifest: Manifest
    """As the case declared it, without weights and notes."""
    allow: tuple[str, ...]
    start: Start
    externs: tuple[str, ...]
    files: WorkFolder
    """Where files of the case were made, for code that looks at them."""


_last: list[_Proven] = []
"""The last proof that passed in this process, if one did."""


def note_proven(
    manifest: Manifest, allow: tuple[str, ...], start: Start, externs: Iterable[str], files: WorkFolder
) -> None:
    """Remember a proof that passed.

    Args:
        manifest: What the case declares.
        allow: What its code was allowed to do.
        start: How the process of the proof began.
        externs: Names of the modules of hard externs that were imported, in the order of their import.
        files: Where files of the case were made; closed when the proof is no more the last one.
    """
    before, _last[:] = _last[:], [_Proven(_code_of(manifest), allow, start, tuple(externs), files)]
    for proven in before:
        if proven.files is not files:
            proven.files.close()


@atexit.register
def _forget() -> None:
    for proven in _last[:]:
        proven.files.close()
    _last.clear()


# The files are those of the process that this one is a copy of.
after_fork(_last.clear)


def beginning_as_last(manifest: Manifest, allow: tuple[str, ...]) -> tuple[Start, WorkFolder] | None:
    """Return how a proof begins that has the code of the last one; None if its code is another one.

    Returns:
        How its process begins, and where the files of the last one are.
    """
    for proven in _last[:]:
        if proven.externs and (proven.manifest, proven.allow) == (_code_of(manifest), allow):
            return _further(proven), proven.files
    return None


@contextmanager
def begun_as_last(processes: CleanProcesses) -> Iterator[None]:
    """Begin while the block packs with what its proof will begin with, if it has the code of the last one."""
    for proven in _last[:]:
        if proven.externs and proven.allow == processes.allow:
            further = _further(proven)
            with processes.further_early(proven.start, further, further.arguments):
                yield
            return
    yield


def _further(proven: _Proven) -> Start:
    """Return how the process begins: what may be found there, and done, is a part of what it is known by."""
    return Start(
        _PREPARE, {"externs": proven.externs, "allowed": proven.start.arguments, "allow": proven.allow}
    )


def _code_of(manifest: Manifest) -> Manifest:
    """Return what a manifest says of anything but weights and notes."""
    records = {name: digest for name, digest in manifest.records.items() if not is_storage(name)}
    return replace(manifest, records=records, tensors=(), metadata={})
