"""Reading a file ahead of its use, where each page that is not in memory takes long to come.

What is mapped comes by page faults, 4 KiB at a time and whatever the kernel reads along. On NFS, Lustre or
FUSE that is a small part of what they give to large reads that follow each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from threading import Thread

from wardian.archive.content import read_at

__all__ = ["read_ahead"]

_READ = 8 << 20
"""Bytes of one read."""


def read_ahead(descriptor: int, spans: Iterable[tuple[int, int]]) -> None:
    """Bring parts of a file into the page cache, in order and with all cores.

    Nothing is read that would push out of memory what was read just before.

    Args:
        descriptor: The open file.
        spans: Offset and size of each part, in bytes.
    """
    reads = [
        (start, min(_READ, offset + size - start))
        for offset, size in sorted(spans)
        for start in range(offset, offset + size, _READ)
    ][: _memory() // 2 // _READ]
    following = count()

    def work() -> None:
        buffer = bytearray(_READ)
        while (number := next(following)) < len(reads):
            start, size = reads[number]
            read_at(descriptor, start, memoryview(buffer)[:size])

    threads = [Thread(target=work, name="wardian-ahead") for _ in range(min(len(reads), os.cpu_count() or 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _memory() -> int:
    """Return the memory of the machine in bytes."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 1 << 40
