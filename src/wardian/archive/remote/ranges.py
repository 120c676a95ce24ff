"""Which requests bring the bytes that are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Span", "join", "parts_within"]

_GAP = 64 << 10
"""Bytes between two wanted spans that are read along: another request would take longer."""
_REQUEST = 8 << 20
"""Bytes of one request: with eight at once it fills a fast line, and a failed one is soon repeated."""


class Span(NamedTuple):
    """Bytes of a file, from `start` to before `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


def join(wanted: Iterable[Span], *, gap: int = _GAP, most: int = _REQUEST) -> list[Span]:
    """Return the requests that bring all spans.

    Spans with a small gap between them come together, and all is cut into requests of one size.

    Args:
        wanted: Spans that do not overlap.
        gap: Bytes between two spans that are read along.
        most: Bytes of one request.

    >>> join([Span(0, 10), Span(12, 30), Span(40, 45)], gap=4, most=20)
    [Span(start=0, stop=20), Span(start=20, stop=30), Span(start=40, stop=45)]
    """
    runs: list[Span] = []
    for span in sorted(span for span in wanted if span.size):
        if runs and span.start - runs[-1].stop <= gap:
            runs[-1] = Span(runs[-1].start, span.stop)
        else:
            runs.append(span)
    return [
        Span(start, min(run.stop, start + most)) for run in runs for start in range(run.start, run.stop, most)
    ]


def parts_within(request: Span, wanted: Iterable[Span]) -> list[Span]:
    """Return what of the wanted spans a request brings.

    >>> parts_within(Span(0, 20), [Span(0, 10), Span(12, 30)])
    [Span(start=0, stop=10), Span(start=12, stop=20)]
    """
    parts = (Span(max(request.start, span.start), min(request.stop, span.stop)) for span in wanted)
    return [part for part in parts if part.size > 0]
