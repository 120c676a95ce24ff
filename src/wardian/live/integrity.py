"""Weights are checked at the first use on a machine, and not again while the file is the same."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wardian.archive import ArchiveReader, FolderReader
from wardian.archive.descriptors import begin_writeback, generation, tells_changes
from wardian.archive.layout import STORAGE_NAME
from wardian.errors import CorruptCaseError
from wardian.live.files import cache_folder
from wardian.names import RecordName

__all__ = ["StorageChecks"]

_DAYS = 30
"""After so many days a file is checked again, whatever its times say: disks forget, too."""
_TICK = 50_000_000
"""Nanoseconds within which a second change may get the time of the first; file systems count in steps of at
most 10 ms."""
_COARSE = 2_000_000_000
"""The same where times are whole seconds: FAT has every second one."""


class StorageChecks:
    """Checks the storages of one archive against their digests, each at most once while the file is the same.

    An archive of torch.package has no digests; its storages are checked against their CRC-32.

    A note in the cache folder tells later processes that every storage was checked. It counts for 30 days and
    while the file is the same. A file that is small enough to be read when it is opened is the same while its
    content is. A larger one is while device, inode, generation, size, and the times of its last change are
    those of the check. Before the check the system is told to write the file to the disk, so that a later
    change through a mapping sets the times. Nothing is noted of a file that was changed a moment before, nor
    where times do not tell of changes (tmpfs): there every load checks. No note sees that the disk below
    the file system has changed, until the 30 days are over.

    Args:
        archive: The open archive.
    """

    def __init__(self, archive: ArchiveReader | FolderReader) -> None:
        self._archive = archive if isinstance(archive, ArchiveReader) else None
        self._identity = None if self._archive is None else self._archive.identity()
        self._stamp: str | None = ""
        self._checked: set[RecordName] = set()
        self._all = False
        # One thread checks, with all cores; the others wait and find it done.
        self._lock = threading.Lock()

    def go_on_after_fork(self) -> None:
        """Release the lock that a thread of the parent process holds."""
        self._lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001

    def check_all(self) -> None:
        """Check every storage.

        Raises:
            CorruptCaseError: naming the record that was damaged or altered.
        """
        archive = self._archive
        if archive is None:
            return
        with self._lock:
            self._refresh(archive)
            if self._all:
                return
            noted = self._begin(archive)
            for name in archive.names:
                if STORAGE_NAME.fullmatch(name) and name not in self._checked:
                    archive.verify(name)
                    self._checked.add(name)
            self._all = archive.is_in_memory or tells_changes(archive.descriptor)
            self._remember(archive, noted)

    def check(self, name: RecordName) -> None:
        """Check one storage.

        Raises:
            CorruptCaseError: if it was damaged or altered.
        """
        archive = self._archive
        if archive is None:
            return
        with self._lock:
            self._refresh(archive)
            if not self._all and name not in self._checked:
                archive.verify(name)
                self._checked.add(name)

    def find_damage(self) -> list[CorruptCaseError]:
        """Check the whole content of every record, CRC-32 included, with all cores.

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

        with self._lock, ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="wardian-verify") as threads:
            self._refresh(archive)
            noted = self._begin(archive)
            found = [problem for problem in threads.map(problem_with, archive.names) if problem is not None]
            if not found:
                self._all = archive.is_in_memory or tells_changes(archive.descriptor)
                self._remember(archive, noted)
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

    def _remember(self, archive: ArchiveReader, noted: str | None) -> None:
        """Note for later processes that every storage was checked, if the file is still the same."""
        note = _note(archive)
        if note is not None and noted is not None and archive.is_unchanged() and _stamp(archive) == noted:
            _write(note, noted)

    def _refresh(self, archive: ArchiveReader) -> None:
        """Forget what was checked if the file is another by now, or may be without a trace."""
        identity = archive.identity()
        if identity != self._identity:
            archive.reload()
        elif self._stamp != "":
            return
        self._identity, stamp = identity, _stamp(archive)
        if stamp != self._stamp:
            note = None if stamp is None else _note(archive)
            self._all = note is not None and _read(note) == stamp
            self._checked.clear()
            self._stamp = stamp


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


def _read(note: Path) -> str | None:
    """Return of which file a note says that it was checked; None if it says nothing, or is too old."""
    try:
        stamp, _, seconds = note.read_text().rpartition(" ")
        age = time.time() - int(seconds)
    except (OSError, ValueError):
        return None
    return stamp if 0 <= age < _DAYS * 86_400 else None


def _write(note: Path, stamp: str) -> None:
    # Without the note the next process checks again; that is all.
    with contextlib.suppress(OSError):
        note.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{stamp} {int(time.time())}")
        os.replace(name, note)
