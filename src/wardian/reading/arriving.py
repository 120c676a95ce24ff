"""A bar for bytes that come from elsewhere or are checked, for who waits at a terminal."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Arriving"]

_LARGE = 8 << 20
"""Bytes that are worth a bar."""


class Arriving:
    """Show how much has come, or is checked, if standard error is a terminal and `rich` is installed.

    Args:
        label: What it is of.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown: tuple[Progress, TaskID] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take how many bytes have come, of how many; 0 of 0 when no more will."""
        if total < _LARGE and self._shown is None:
            return
        if self._shown is None:
            if not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
                return
            self._shown = self._begin(total)
        bars, task = self._shown
        if total:
            bars.update(task, completed=done, total=total)
        else:
            bars.stop()
            self._shown = None

    def _begin(self, total: int) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        bars = Progress(*columns, console=Console(stderr=True), transient=True)
        bars.start()
        return bars, bars.add_task(self._label, total=total)
