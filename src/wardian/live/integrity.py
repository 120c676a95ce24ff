"""Weights are checked at the first use on a machine, and not again while the file is the same."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wardian.archive import ArchiveReader, FolderReader
from wardian.archive.layout import STORAGE_NAME
from wardian.errors import CorruptCaseError
from wardian.live.files import cache_folder
from wardian.names import RecordName

__all__ = ["StorageChecks"]


class StorageChecks:
    """Checks the storages of one archive against their digests, each at most once while the file is the same.

    The file counts as the same while device, inode, size, and the times of its last change are those of
    the check; a note in the cache folder tells later processes that every storage was checked. Archives of
    torch.package have no digests.

    Args:
        archive: The open archive.
    """

    def __init__(self, archive: ArchiveReader | FolderReader) -> None:
        self._archive = archive if isinstance(archive, ArchiveReader) else None
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
        if archive is None or archive.digest is None:
            return
        with self._lock:
            stamp = self._refreshed(archive)
            if self._all:
                return
            for name in archive.names:
                if STORAGE_NAME.fullmatch(name) and name not in self._checked:
                    archive.verify(name)
                    self._checked.add(name)
            self._all = True
            self._remember(archive, stamp)

    def check(self, name: RecordName) -> None:
        """Check one storage.

        Raises:
            CorruptCaseError: if it was damaged or altered.
        """
        archive = self._archive
        if archive is None or archive.digest is None:
            return
        with self._lock:
            self._refreshed(archive)
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
            stamp = self._refreshed(archive)
            found = [problem for problem in threads.map(problem_with, archive.names) if problem is not None]
            if not found:
                self._all = True
                self._remember(archive, stamp)
        return found

    def _remember(self, archive: ArchiveReader, stamp: str | None) -> None:
        """Note for later processes that every storage was checked, if the file is still the same."""
        note = None if archive.digest is None else _note(archive.digest)
        if note is not None and stamp is not None and archive.is_unchanged() and archive.stamp() == stamp:
            _write(note, stamp)

    def _refreshed(self, archive: ArchiveReader) -> str | None:
        """Forget what was checked if the file is another by now; return what tells it from others."""
        stamp = archive.stamp()
        if stamp != self._stamp:
            note = None if stamp is None or archive.digest is None else _note(archive.digest)
            self._all = note is not None and _read(note) == stamp
            self._checked.clear()
            self._stamp = stamp
        return stamp


def _note(digest: str) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "verified" / digest


def _read(note: Path) -> str | None:
    try:
        return note.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _write(note: Path, stamp: str) -> None:
    # Without the note the next process checks again; that is all.
    with contextlib.suppress(OSError):
        note.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(stamp)
        os.replace(name, note)
