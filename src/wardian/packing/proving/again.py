"""The proof of the same code again, as of a checkpoint in every epoch: it begins with its externs imported.

The first proof of some code imports all anew, and has the files that the code looks at made anew. If it
passed, the next one of the same code, with other weights, forks from a process that has imported the modules
of hard externs that the first one had imported, in the same order, and nothing that was packed; and it finds
those files: docs/design/templates.md.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from wardian.domain.manifest import Manifest
from wardian.domain.record_names import is_storage
from wardian.forks import after_fork
from wardian.processes.clean import CleanProcesses, Start
from wardian.processes.folders import WorkFolder

__all__ = ["Proven", "begun_as_last", "find_last", "note_proven"]

_PREPARE = "wardian.packing.proving.in_child.import_externs"


@dataclass(frozen=True, slots=True)
class Proven:
    """A proof that passed."""

    manifest: Manifest
    """As the case declared it, without weights and notes."""
    allow: tuple[str, ...]
    start: Start
    externs: tuple[str, ...]
    """Names of the modules of hard externs that were imported, in the order of their import."""
    files: WorkFolder | None
    """Where files of the case were made, for code that looks at them."""
    digest: str
    """The digest of the case, by which their folder is named."""

    @property
    def further(self) -> Start:
        """How the next one begins: what may be found there, and done, is a part of what it is known by."""
        told = {"externs": self.externs, "allowed": self.start.arguments, "allow": self.allow}
        return Start(_PREPARE, told)

    def take_files(self) -> WorkFolder | None:
        """Return where its files are; None if they are no more."""
        # Who cleans up the folder for temporary files takes the lock, too, by which others know it.
        return self.files if self.files is not None and self.files.is_locked else None


_last: list[Proven] = []
"""The last proof that passed in this process, if one did."""


def note_proven(
    manifest: Manifest,
    allow: tuple[str, ...],
    start: Start,
    externs: Iterable[str],
    files: WorkFolder,
    digest: str,
) -> None:
    """Remember a proof that passed.

    Args:
        manifest: What the case declares.
        allow: What its code was allowed to do.
        start: How the process of the proof began.
        externs: As for `Proven`.
        files: Where files of the case were made; closed when the proof is no more the last one.
        digest: Of the case.
    """
    kept = files if _ends_with_python() else None
    before, _last[:] = _last[:], [Proven(_code_of(manifest), allow, start, tuple(externs), kept, digest)]
    for folder in [files, *(proven.files for proven in before)]:
        if folder is not None and folder is not kept:
            folder.close()


def _ends_with_python() -> bool:
    """Tell whether `atexit` runs when this process ends: forks and children of multiprocessing go without."""
    processes: Any = sys.modules.get("multiprocessing.process")
    return os.getpid() == _IMPORTED_IN and (processes is None or processes.parent_process() is None)


_IMPORTED_IN = os.getpid()


@atexit.register
def _forget() -> None:
    for proven in _last[:]:
        if proven.files is not None and _ends_with_python():
            proven.files.close()
    _last.clear()


# The files are those of the process that this one is a copy of.
after_fork(_last.clear)


def find_last(manifest: Manifest, allow: tuple[str, ...]) -> Proven | None:
    """Return the last proof; None if it was of other code, or nothing would begin with what it imported."""
    for proven in _last[:]:
        if proven.externs and (proven.manifest, proven.allow) == (_code_of(manifest), allow):
            return proven
    return None


@contextmanager
def begun_as_last(processes: CleanProcesses) -> Iterator[None]:
    """Begin while the block packs with what its proof will begin with, if it has the code of the last one."""
    for proven in _last[:]:
        if proven.externs and proven.allow == processes.allow:
            further = proven.further
            with processes.further_early(proven.start, further, further.arguments):
                yield
            return
    yield


def _code_of(manifest: Manifest) -> Manifest:
    """Return what a manifest says of anything but weights and notes."""
    records = {name: digest for name, digest in manifest.records.items() if not is_storage(name)}
    return replace(manifest, records=records, tensors=(), metadata={})
