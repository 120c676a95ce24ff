"""What tells a person how far a pack is."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Reporter", "reporting"]

Reporter = Callable[[str], None]
"""Called with the name of each stage when it begins."""


@contextmanager
def reporting(progress: Reporter | bool | None) -> Iterator[Reporter]:
    """Return what is told of each stage while the block lasts.

    Args:
        progress: A function that is told; True shows bars on a terminal where `rich` is installed
            (`pip install 'wardian[cli]'`), and lines on stderr elsewhere; None and False show nothing.
    """
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda stage: None
    elif sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield lambda stage: print(f"wardian: {stage}", file=sys.stderr)  # noqa: T201


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<8}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


class _Bars:
    """A bar for each stage; it moves until the next one begins."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def __call__(self, stage: str) -> None:
        self._finish()
        self._bars.add_task(stage, total=None)

    def _finish(self) -> None:
        for task in self._bars.tasks:
            if not task.finished:
                self._bars.update(task.id, total=1, completed=1)
