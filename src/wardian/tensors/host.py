"""Storages in the memory of the host: the bytes of one, wherever it is, and one made of a file."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.storage import UntypedStorage

__all__ = ["bytes_on_host", "copied", "filled", "map_descriptor", "map_file", "staged"]

_STAGING = 32 << 20
"""Bytes that come from a device in one step: enough for the full speed of a bus."""
_COPIED = 1 << 16
"""A storage up to this size is copied: that takes less than to make a view on it."""


def bytes_on_host(storage: UntypedStorage) -> bytes | memoryview | Iterator[memoryview]:
    """Return the content of *storage*, which must outlive it.

    Returns:
        A view or, of a small storage, a copy; of one on a device, parts as `staged` yields them.
    """
    size = storage.nbytes()
    if size == 0:
        return b""
    if storage.device.type != "cpu":
        return staged(storage)
    if size <= _COPIED:
        return ctypes.string_at(storage.data_ptr(), size)
    return memoryview((ctypes.c_char * size).from_address(storage.data_ptr())).cast("B")


def staged(storage: UntypedStorage, size: int = _STAGING) -> Iterator[memoryview]:
    """Bring a storage to the host through one buffer, so that it takes no memory beside that.

    Args:
        storage: On any device.
        size: Of the buffer, in bytes.

    Yields:
        Parts of the content, in order. Each is valid until the next is asked for.
    """
    total = storage.nbytes()
    content = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    buffer = torch.empty(min(size, total), dtype=torch.uint8, device="cpu")
    view = memoryview((ctypes.c_char * buffer.nbytes).from_address(buffer.data_ptr())).cast("B")
    for start in range(0, total, size):
        part = content[start : start + size]
        buffer[: part.nbytes].copy_(part)
        yield view[: part.nbytes]


def map_file(path: Path) -> UntypedStorage:
    """Map a file: writes go to copied pages and never to the file."""
    with open(path, "rb") as file:
        return map_descriptor(file.fileno(), os.fstat(file.fileno()).st_size)


def map_descriptor(descriptor: int, size: int) -> UntypedStorage:
    """Map an open file, whatever its path leads to by now; as `map_file`.

    Args:
        descriptor: The file, which may be closed afterwards.
        size: How much of it, in bytes.

    Raises:
        OSError: if the file is shorter, or cannot be mapped.
    """
    found = os.fstat(descriptor).st_size
    if found < size:  # what is mapped behind the end of a file kills who uses it
        raise OSError(errno.EIO, f"the file was cut short: it has {found:,} bytes, not {size:,}")
    if sys.platform.startswith("linux"):
        # PyTorch maps by a path. This one is always of the file that is open, and needs no descriptor later.
        with contextlib.suppress(RuntimeError):  # without /proc, or where the file may not be opened again
            mapped = UntypedStorage.from_file(f"/proc/self/fd/{descriptor}", False, size)
            assert isinstance(mapped, UntypedStorage)
            return mapped
    whole = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
    return torch.frombuffer(whole, dtype=torch.uint8).untyped_storage()


def filled(size: int, fill: Callable[[memoryview], object]) -> UntypedStorage:
    """Return a storage of PyTorch's own memory.

    Args:
        size: In bytes.
        fill: Called with that memory, to be filled.
    """
    storage: UntypedStorage = torch.empty(size, dtype=torch.uint8, device="cpu").untyped_storage()
    if size:
        fill(memoryview((ctypes.c_char * size).from_address(storage.data_ptr())).cast("B"))
    return storage


def copied(content: bytes | memoryview) -> UntypedStorage:
    """Return a storage of PyTorch's own memory with this content."""

    def fill(memory: memoryview) -> None:
        memory[:] = content

    return filled(len(content), fill)
