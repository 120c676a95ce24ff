"""Requests that are made before it is known what they are for: far away an answer takes long to begin."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from wardian.archive.remote.ranges import Span, join
from wardian.archive.remote.sources import Download, Source, Tail

__all__ = ["EarlySource"]

_AT_ONCE = 8
"""Requests, so that what waits to be used is no more than 64 MiB."""


class EarlySource:
    """A source some of whose parts are on their way.

    Args:
        source: Gives the bytes.
        wanted: What will be read, probably; the first requests for it begin at once.
    """

    def __init__(self, source: Source, wanted: Iterable[Span]) -> None:
        self._source = source
        threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="wardian-early")
        self._coming: dict[Span, Future[bytes]] = {
            span: threads.submit(source.read, *span) for span in join(wanted)[:_AT_ONCE]
        }
        threads.shutdown(wait=False)

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes, as `Source.read`."""
        parts: list[bytes] = []
        place = start
        for span in sorted(self._coming):
            if span.start <= place < min(span.stop, stop):
                parts.append(self._coming[span].result()[place - span.start : stop - span.start])
                place = min(span.stop, stop)
        return b"".join(parts) if place == stop else self._source.read(start, stop)

    def give_up(self) -> None:
        """Let go what is on its way, and make no further request."""
        for future in self._coming.values():
            future.cancel()
        self._coming.clear()

    def tail(self, size: int, known: str | None = None) -> Tail | None:
        """Return the last bytes of the file, as `Source.tail`."""
        return self._source.tail(size, known)

    def download(self, take: Download) -> str | None:
        """Read the whole file, as `Source.download`."""
        return self._source.download(take)

    def has_changed(self) -> bool:
        """Tell whether the file is another one by now, as `Source.has_changed`."""
        return self._source.has_changed()
