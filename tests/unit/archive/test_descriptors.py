"""What Linux tells of open files, and is told."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import pytest

from wardian.archive import descriptors
from wardian.archive.content import read_at

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
MIB = 1 << 20


def test_a_file_in_memory_tells_of_no_changes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory, disk = os.memfd_create("weights"), os.open(tmp_path / "file", os.O_RDONLY)
    try:
        assert not descriptors.tells_changes(memory)
        assert not descriptors.tells_changes(None)
        assert descriptors.tells_changes(disk) is (descriptors._kind(disk) not in descriptors._IN_MEMORY)
        assert not descriptors.is_on_network(disk)
    finally:
        os.close(memory)
        os.close(disk)


def _resident(descriptor: int, size: int) -> int:
    """Return how many bytes of a file are in the page cache."""
    with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE) as view:
        start = ctypes.c_char.from_buffer(view)
        pages = (ctypes.c_ubyte * (size // mmap.PAGESIZE))()
        ctypes.CDLL(None).mincore(ctypes.byref(start), ctypes.c_size_t(size), pages)
        del start
    return sum(page & 1 for page in pages) * mmap.PAGESIZE


def test_no_more_is_read_than_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(32 * MIB))
    file = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        if _resident(file, 32 * MIB):
            pytest.skip("this file system keeps pages")
        with descriptors.nothing_read_ahead(file):
            assert read_at(file, 8 * MIB, bytearray(MIB)) == MIB
        assert _resident(file, 32 * MIB) == MIB
    finally:
        os.close(file)
