"""Weights are checked at the first load on a machine, and not again while the file is the same."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from wardian.archive import ArchiveReader, FolderReader
from wardian.live.files import cache_folder

__all__ = ["check_storages"]


def check_storages(archive: ArchiveReader | FolderReader) -> None:
    """Check every storage of a case against its digest, unless this very file was checked before.

    The file counts as the same while device, inode, size, and the times of its last change are those of
    the check. Archives of torch.package have no digests.

    Raises:
        CorruptCaseError: naming the record that was damaged or altered.
    """
    if not isinstance(archive, ArchiveReader) or archive.digest is None:
        return
    stamp = archive.stamp()
    note = None if stamp is None else _note(archive.digest)
    if note is not None and _read(note) == stamp:
        return
    for name in archive.names:
        if name.startswith(".data/") and name.endswith(".storage"):
            archive.verify(name)
    if note is not None and stamp is not None and archive.stamp() == stamp:
        _write(note, stamp)


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
