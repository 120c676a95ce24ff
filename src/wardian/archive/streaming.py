"""Storages on their way to the file: one buffer or several, each hashed while it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, cast

from wardian.archive.crc import crc32
from wardian.archive.digests import new_blake3

if TYPE_CHECKING:
    from concurrent.futures import Future

    from typing_extensions import Buffer

__all__ = ["Streams", "small_content"]

_CHUNK = 4 << 20
"""Bytes written and hashed in one step: larger ones fall out of the caches, smaller ones cost hand-overs."""
_INLINE = 1 << 20
"""A storage up to this size is hashed where it is written, without a thread."""


class Streams:
    """Threads that hash what another writes."""

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor  # it imports logging, which readers do not need

        self._crc_thread = ThreadPoolExecutor(1, thread_name_prefix="wardian-crc")
        self._hash_thread = ThreadPoolExecutor(1, thread_name_prefix="wardian-blake3")

    def copy(
        self, data: Buffer | Iterable[Buffer], size: int, write: Callable[[memoryview], None]
    ) -> tuple[int, str]:
        """Write the content of a storage; return its CRC-32 and its BLAKE3.

        Raises:
            ValueError: if it does not have *size* bytes. No more of it was written.
        """
        crc = 0
        hasher = new_blake3(all_cores=False)

        def update_crc(chunk: memoryview) -> None:
            nonlocal crc
            crc = crc32(chunk, crc)

        def update_hash(chunk: memoryview) -> None:
            hasher.update(chunk)

        written = 0
        for buffer in _buffers(data):
            written += len(buffer)
            if written > size:
                break
            running: list[Future[None]] = []
            for start in range(0, len(buffer), _CHUNK):
                chunk = buffer[start : start + _CHUNK]
                # One thread each: a running digest needs its chunks one after the other.
                running = [self._crc_thread.submit(update_crc, chunk)]
                running += [self._hash_thread.submit(update_hash, chunk)]
                write(chunk)
            # Before the next buffer is asked for, which may be this one with other content.
            for last in running:
                last.result()
        if written != size:
            raise ValueError(
                f"the storage has {written:,} bytes{' or more' * (written > size)}, not {size:,}"
            )
        return crc, hasher.hexdigest()

    def close(self) -> None:
        """Stop the threads."""
        self._crc_thread.shutdown(cancel_futures=True)
        self._hash_thread.shutdown(cancel_futures=True)


def small_content(data: Buffer | Iterable[Buffer], size: int) -> bytes | None:
    """Return the bytes of one buffer of *size* that is small enough to be gathered, else None."""
    if type(data) is bytes:
        return data if len(data) == size <= _INLINE else None
    view = _whole(data)
    return bytes(view) if view is not None and len(view) == size <= _INLINE else None


def _buffers(data: Buffer | Iterable[Buffer]) -> Iterator[memoryview]:
    """Yield the bytes of one buffer or of several."""
    view = _whole(data)
    if view is not None:
        yield view
        return
    for part in cast("Iterable[Buffer]", data):
        yield _flat(memoryview(part))


def _whole(data: Buffer | Iterable[Buffer]) -> memoryview | None:
    """Return the bytes of one buffer; None if *data* is none."""
    try:
        view = memoryview(cast("Buffer", data))
    except TypeError:
        return None
    return _flat(view)


def _flat(view: memoryview) -> memoryview:
    # `cast` refuses shapes with a zero.
    return view.cast("B") if view.nbytes else memoryview(b"")
