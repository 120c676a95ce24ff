"""Storages in the memory of the host: the bytes of one, wherever it is, and one made of a file."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.storage import UntypedStorage

__all__ = ["bytes_on_host", "map_file", "staged"]

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
    buffer = torch.empty(min(size, total), dtype=torch.uint8)
    view = memoryview((ctypes.c_char * buffer.nbytes).from_address(buffer.data_ptr())).cast("B")
    for start in range(0, total, size):
        part = content[start : start + size]
        buffer[: part.nbytes].copy_(part)
        yield view[: part.nbytes]


def map_file(path: Path, size: int) -> UntypedStorage:
    """Map a file: writes go to copied pages and never to the file."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:  # PyTorch takes no other names than those in UTF-8
        with open(path, "rb") as file:
            mapped = UntypedStorage.from_file(f"/proc/self/fd/{file.fileno()}", False, size)
    else:
        mapped = UntypedStorage.from_file(os.fspath(path), False, size)
    assert isinstance(mapped, UntypedStorage)
    return mapped
