"""The memory in which tensors cross: made by the one side, mapped by both."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os

__all__ = ["Region"]


class Region:
    """Memory that two processes share, and that neither can cut: to read behind an end kills a process.

    Args:
        descriptor: An open descriptor of it, which this object closes.
        size: In bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.size = size
        self.map = mmap.mmap(descriptor, size)

    @classmethod
    def make(cls, size: int) -> Region:
        """Make memory of at least *size* bytes."""
        size = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        descriptor = os.memfd_create("wardian", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            return cls(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        """Let go of it; what was copied out of it stays."""
        # A call that was interrupted may still hold it; then it goes with that.
        with contextlib.suppress(BufferError):
            self.map.close()
        os.close(self.descriptor)
