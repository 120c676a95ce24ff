"""Weights are checked at the first use on a machine, and not again while the file is the same."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from wardian.archive import ArchiveReader, FolderReader
from wardian.archive.descriptors import begin_writeback, generation, tells_changes
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage
from wardian.environment.cache import alone, cache_folder, make_private
from wardian.errors import CorruptCaseError
from wardian.forks import new_lock

__all__ = ["StorageChecks", "check_code"]

_DAYS = 30
"""After so many days a file is checked again, whatever its times say: disks forget, too."""
_TICK = 50_000_000
"""Nanoseconds within which a second change may get the time of the first; file systems count in steps of at
most 10 ms."""
_COARSE = 2_000_000_000
"""The same where times are whole seconds: FAT has every second one."""


def check_code(archive: ArchiveReader | FolderReader) -> None:
    """Check every record but weights, which are checked when they are used.

    Modules run from their bytecode, so nothing else would read a source that is damaged.

    Raises:
        CorruptCaseError: naming the record that was damaged or altered.
    """
    names = [name for name in archive.names if not is_storage(name)]
    archive.fetch(names)
    for name in names:
        archive.read(name)


class StorageChecks:
    """Checks the storages of one archive against their digests, each at most once while the file is the same.

    An archive of torch.package has no digests; its storages are checked against their CRC-32.

    A note in the cache folder tells later processes which storages were checked. Of processes that want to
    check one file at once, such as the ranks of a host, one does and the others wait for its note. A note
    counts for 30 days and while the file is the same. A file that is small enough to be read when it is
    opened is the same while its content is. A larger one is while device, inode, generation, size, and the
    times of its last change are those of the check. Before the check the system is told to write the file to
    the disk, so that a later change through a mapping sets the times. Nothing is noted of a file that was
    changed a moment before, nor where times do not tell of changes (tmpfs): there every load checks. No note
    sees that the disk below the file system has changed, until the 30 days are over.

    Args:
        archive: The open archive.
    """

    def __init__(self, archive: ArchiveReader | FolderReader) -> None:
        self._archive = archive if isinstance(archive, ArchiveReader) else None
        self._identity = None if self._archive is None else self._archive.identity()
        self._stamp: str | None = ""
        self._checked: set[RecordName] = set()
        self._noted: set[RecordName] = set()
        """Those of which a note may tell: of others a change after their check may leave no trace."""
        self._all = False
        self._since = 0
        """When the first of what is checked was checked, in seconds."""
        # One thread checks, with all cores; the others wait and find it done.
        self._lock = new_lock()

    def check_all(self) -> None:
        """Check every storage.

        Raises:
            CorruptCaseError: naming the record that was damaged or altered.
        """
        if self._archive is not None:
            self._check(self._archive, None)

    def check_those(self, names: Iterable[RecordName]) -> None:
        """Check some storages, which come together if they are not here; nothing is noted.

        Raises:
            CorruptCaseError: if one was damaged or altered.
        """
        archive = self._archive
        if archive is None:
            return
        names = list(names)
        archive.fetch(names)
        with self._lock:
            self._refresh(archive)
            for name in names:
                if not self._all and name not in self._checked:
                    archive.verify(name)
                    self._checked.add(name)

    def check_together(self, names: Iterable[RecordName]) -> None:
        """Check some storages as `check_all` does all: one process does it, and others take its word.

        Raises:
            CorruptCaseError: if one was damaged or altered.
        """
        if self._archive is not None:
            self._check(self._archive, list(names))

    def _check(self, archive: ArchiveReader, names: list[RecordName] | None) -> None:
        """Check some storages; None means all."""
        is_partial = bool(archive.absent())
        if is_partial:
            archive.fetch(archive.names if names is None else names)
            is_partial = bool(archive.absent())
        with self._lock:
            self._refresh(archive)
            if self._all or (names is not None and self._checked.issuperset(names)):
                return
            # A copy that fills in has no times that tell of a change.
            noted = None if is_partial else self._begin(archive)
            note = None if noted is None else _note(archive)
            with nullcontext() if note is None else _alone_with(note):
                self._learn(note)
                every = [name for name in archive.names if is_storage(name)]
                wanted = every if names is None else names
                missing = [] if self._all else [name for name in wanted if name not in self._checked]
                archive.fetch(missing)
                for name in missing:
                    archive.verify(name)
                    self._checked.add(name)
                if missing:
                    self._noted |= set(missing) if noted is not None else set()
                    is_sure = archive.is_in_memory or tells_changes(archive.descriptor)
                    self._all = is_sure and self._checked.issuperset(every)
                    self._remember(archive, noted, None if self._noted.issuperset(every) else self._noted)

    def check_whole(self, label: str) -> None:
        """Check the whole content of every record, as `find_damage`.

        Raises:
            CorruptCaseError: if a record was damaged or altered; `records` has the names of all such.
        """
        found = self.find_damage()
        if found and self._archive is not None:
            listing = "".join(f"\n  {error}" for error in found)
            raise CorruptCaseError(
                f"{label}: {len(found)} of {len(self._archive.names)} records are damaged:{listing}",
                path=label,
                record=found[0].record,
                records=tuple(error.record for error in found),
            )

    def find_damage(
        self, told: Callable[[int, int], None] = lambda done, total: None
    ) -> list[CorruptCaseError]:
        """Check the whole content of every record, CRC-32 included, with all cores.

        Args:
            told: Called with the bytes that are checked, and with those that there are; at last with 0 and 0.

        Returns:
            One error for each record that was damaged or altered, in file order.
        """
        archive = self._archive
        if archive is None:
            return []

        def problem_with(name: RecordName) -> CorruptCaseError | None:
            try:
                archive.verify(name, crc=True)
            except CorruptCaseError as error:
                return error
            return None

        from concurrent.futures import (
            ThreadPoolExecutor,  # it imports logging, and most looks check no weight
        )

        archive.fetch(archive.names)
        with self._lock, ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="wardian-verify") as threads:
            self._refresh(archive)
            noted = self._begin(archive)
            found: list[CorruptCaseError] = []
            done, total = 0, sum(map(archive.size, archive.names))
            try:
                for name, problem in zip(
                    archive.names, threads.map(problem_with, archive.names), strict=True
                ):
                    done += archive.size(name)
                    told(done, total)
                    if problem is not None:
                        found.append(problem)
            finally:
                told(0, 0)
            if not found:
                self._all = archive.is_in_memory or tells_changes(archive.descriptor)
                self._remember(archive, noted, None)
        return found

    def _begin(self, archive: ArchiveReader) -> str | None:
        """Return what tells the file from others if a change from now on would be seen, else None."""
        if archive.is_in_memory:
            return self._stamp
        descriptor = archive.descriptor
        if descriptor is None or not tells_changes(descriptor):
            return None
        # A page that waits to be written to the disk is changed through a mapping and leaves no trace.
        begin_writeback(descriptor)
        return self._stamp if _is_settled(descriptor) else None

    def _remember(
        self, archive: ArchiveReader, noted: str | None, names: Iterable[RecordName] | None
    ) -> None:
        """Note for later processes what was checked, all with None, if the file is still the same."""
        note = _note(archive)
        if note is not None and noted is not None and archive.is_unchanged() and _stamp(archive) == noted:
            _write(note, _Noted(noted, self._since, None if names is None else frozenset(names)))

    def _learn(self, note: Path | None) -> None:
        """Take over what a note says that was checked."""
        found = None if note is None else _read(note)
        if found is None or found.stamp != self._stamp:
            self._since = int(time.time())
            return
        self._since = found.since
        self._all = found.names is None
        self._noted |= found.names or set()
        self._checked |= self._noted

    def _refresh(self, archive: ArchiveReader) -> None:
        """Forget what was checked if the file is another by now, or may be without a trace."""
        identity = archive.identity()
        if identity != self._identity:
            archive.reload()
        elif self._stamp != "":
            return
        self._identity, stamp = identity, _stamp(archive)
        if stamp != self._stamp:
            self._all = False
            self._checked.clear()
            self._noted.clear()
            self._stamp = stamp
            self._learn(None if stamp is None or archive.absent() else _note(archive))


class _Noted(NamedTuple):
    """The content of a note."""

    stamp: str
    """The stamp of the file that it is about."""
    since: int
    """When the first of it was checked, in seconds."""
    names: frozenset[RecordName] | None
    """The storages that were checked; None if all were."""


def _stamp(archive: ArchiveReader) -> str | None:
    """Return what tells the file from others, and from itself after a change; None if it is no file."""
    if archive.descriptor is None:
        return None
    if archive.is_in_memory:
        return f"content:{archive.content_digest}"
    return f"file:{archive.identity()}:{generation(archive.descriptor)}"


def _is_settled(descriptor: int) -> bool:
    """Tell whether a change from now on gives the file other times than it has."""
    status = os.fstat(descriptor)
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    tick = _TICK if newest % 1_000_000_000 else _COARSE
    return time.time_ns() - newest > tick


def _note(archive: ArchiveReader) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "verified" / archive.outline


@contextmanager
def _alone_with(note: Path) -> Iterator[None]:
    with contextlib.suppress(OSError):  # without the folder there is nobody to wait for
        make_private(note.parent)
    with alone(note.with_suffix(".lock")):
        yield


def _read(note: Path) -> _Noted | None:
    """Return what a note says; None if it says nothing, or is too old."""
    try:
        first, *names = note.read_text().split("\n")
        stamp, _, seconds = first.rpartition(" ")
        since = int(seconds)
    except (OSError, ValueError):
        return None
    if not 0 <= time.time() - since < _DAYS * 86_400:
        return None
    return _Noted(stamp, since, frozenset(map(RecordName, names)) if names else None)


def _write(note: Path, noted: _Noted) -> None:
    lines = [f"{noted.stamp} {noted.since}", *sorted(noted.names or ())]
    # Without the note the next process checks again; that is all.
    with contextlib.suppress(OSError):
        make_private(note.parent)
        descriptor, name = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines))
        os.replace(name, note)
