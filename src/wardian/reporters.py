"""Reporters of a pack's progress: in goes each event, out come lines for whoever watches."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TextIO

from wardian.forks import new_reentrant_lock

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Observer", "Reporter", "Stages", "nothing_written", "reporting"]

Reporter = Callable[[str], None]
"""A user's function: called with the name of each stage when it begins."""

_DELAY = 2.0
"""Seconds after which a pack that nobody asked about shows itself."""

_TICK = 0.25
"""Seconds from one picture to the next."""

_writing = new_reentrant_lock()


def nothing_written() -> AbstractContextManager[bool]:
    """Return a context in which no picture is drawn: the place for a fork, which would keep a lock."""
    return _writing


class Observer(Protocol):
    """The events that `pack` reports as it goes."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def again(self, reason: str) -> None:
        """Something is tried again."""

    def done(self) -> None:
        """Nothing follows that is worth a picture; calling it again does nothing."""


class Stages:
    """Tell an observer which stage begins, and keep the time of each."""

    def __init__(self, tell: Observer) -> None:
        self.seconds: dict[str, float] = {}
        self.tell = tell

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Return a context that lasts as long as the stage."""
        self.tell.stage(stage)
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            # Proofs are told one by one, as attempts.
            self.seconds[stage] = taken + (0.0 if stage == "prove" else self.seconds.get(stage, 0.0))


@contextmanager
def reporting(progress: Reporter | bool | None) -> Iterator[Observer]:
    """Return what is told of each stage while the block lasts.

    Args:
        progress: None shows the stage on stderr from the third second on, if that is a terminal or the
            output of a notebook; True at once, and where nobody watches as lines. A terminal has bars if
            `rich` is installed (`pip install 'wardian[cli]'`), else one line that is written again and again.
            False shows nothing. A function is told of the stages.
    """
    observer: Observer
    if callable(progress):
        observer = _Function(progress)
    elif progress is False or (progress is None and not _is_watched(sys.stderr)):
        observer = _Function(lambda stage: None)
    elif not _is_watched(sys.stderr):
        observer = _Lines()
    else:
        observer = _Picture(_painter(sys.stderr), _DELAY if progress is None else 0.0)
    try:
        yield observer
    finally:
        observer.done()


def _is_notebook(stream: TextIO) -> bool:
    # https://github.com/ipython/ipykernel/blob/v6.29.5/ipykernel/iostream.py#L355: it says it is no terminal.
    return type(stream).__module__.partition(".")[0] == "ipykernel"


def _is_watched(stream: TextIO | None) -> bool:
    try:
        return stream is not None and (_is_notebook(stream) or stream.isatty())
    except (AttributeError, OSError, ValueError, RuntimeError):  # it is closed, or no stream in every way
        return False


class _Function:
    def __init__(self, tell: Reporter) -> None:
        self._tell = tell

    def stage(self, name: str) -> None:
        self._tell(name)

    def again(self, reason: str) -> None:
        """A function is told of stages only."""

    def done(self) -> None:
        """There is nothing to take away."""


class _Lines:
    def stage(self, name: str) -> None:
        with _whoever_is_gone():
            print(f"wardian: {name}", file=sys.stderr)  # noqa: T201

    def again(self, reason: str) -> None:
        with _whoever_is_gone():
            print(f"wardian: tried again, because {reason}", file=sys.stderr)  # noqa: T201

    def done(self) -> None:
        """Lines stay."""


class _Painter(Protocol):
    def paint(self, stage: str, begun: float, seconds: float) -> None:
        """Show what happens now, in place of what was shown before.

        Args:
            stage: Its name.
            begun: When it began, as `time.monotonic` tells.
            seconds: Since all began.
        """

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def clear(self) -> None:
        """Take away what does not stay."""


class _Picture:
    """Shows what happens once it takes long; a thread moves the time while the other one works."""

    def __init__(self, painter: _Painter, delay: float) -> None:
        self._painter = painter
        self._start = time.monotonic()
        self._delay = delay
        self._stage = ""
        self._begun = self._start
        self._reasons: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._move, name="wardian-progress", daemon=True)
        self._thread.start()

    def stage(self, name: str) -> None:
        with _writing:
            self._stage, self._begun = name, time.monotonic()
            self._paint()

    def again(self, reason: str) -> None:
        with _writing:
            self._reasons.append(reason)
            self._paint()

    def done(self) -> None:
        self._over.set()
        self._thread.join()
        with _writing, _whoever_is_gone():
            self._painter.clear()

    def _move(self) -> None:
        if self._over.wait(self._delay):
            return
        while not self._over.wait(_TICK):
            with _writing:
                self._paint()

    def _paint(self) -> None:
        seconds = time.monotonic() - self._start
        if seconds < self._delay or not self._stage or self._over.is_set():
            return
        with _whoever_is_gone():
            while self._reasons:
                self._painter.say(f"wardian: tried again, because {self._reasons.pop(0)}")
            self._painter.paint(self._stage, self._begun, seconds)


def _whoever_is_gone() -> AbstractContextManager[None]:
    """Go on where the terminal was closed, or the stream: nobody watches any more."""
    return suppress(OSError, ValueError)


def _painter(stream: TextIO) -> _Painter:
    has_rich = not _is_notebook(stream) and importlib.util.find_spec("rich") is not None
    return _Bars() if has_rich and os.environ.get("TERM") != "dumb" else _OneLine(stream)


class _OneLine:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0

    def paint(self, stage: str, begun: float, seconds: float) -> None:
        self._write(f"wardian: {stage}, {seconds:.0f} s")

    def say(self, text: str) -> None:
        self.clear()
        self._stream.write(f"{text}\n")

    def clear(self) -> None:
        if self._shown:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()

    def _write(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write(f"\r{text.ljust(self._shown)}")
        self._stream.flush()
        self._shown = len(text)


class _Bars:
    """A bar for each stage; it moves until the next one begins."""

    def __init__(self) -> None:
        self._bars: Progress | None = None

    def paint(self, stage: str, begun: float, seconds: float) -> None:
        bars = self._begun()
        last = bars.tasks[-1] if bars.tasks else None
        if last is None or last.description != stage:
            if last is not None:
                bars.update(last.id, total=1, completed=1)
            bars.add_task(stage, total=None)
            bars.tasks[-1].start_time = begun
        bars.refresh()

    def say(self, text: str) -> None:
        self._begun().console.print(text, markup=False, highlight=False)

    def clear(self) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _begun(self) -> Progress:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description:<8}"), BarColumn(), TimeElapsedColumn())
            # Neither its thread nor its streams: what others print is their own affair.
            self._bars = Progress(
                *columns,
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bars.start()
        return self._bars
