"""Modules in zip files, as files on the disk."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import zipfile
from functools import lru_cache

__all__ = ["on_disk", "unpacked"]


def on_disk(path: str) -> str:
    """Return *path*, or, of what is inside a ZIP archive on `sys.path`, the path of a copy.

    The copies last as long as this process.
    """
    above = path
    while not os.path.exists(above):
        above, name = os.path.split(above)
        if not name:
            return path
    if above == path or not os.path.isfile(above):
        return path
    return os.path.join(unpacked(above), path[len(above) + 1 :])


def unpacked(entry: str) -> str:
    """Return *entry* of `sys.path`, or, if it is a ZIP archive, the folder of a copy."""
    if not os.path.isfile(entry) or not zipfile.is_zipfile(entry):
        return entry
    return _unpacked(entry, os.stat(entry).st_mtime_ns)


@lru_cache
def _unpacked(path: str, mtime: int) -> str:
    folder = tempfile.mkdtemp(prefix="wardian-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder
