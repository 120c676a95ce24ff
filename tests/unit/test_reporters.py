"""What whoever watches is shown, by where it goes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest

from wardian.reporters import Observer, Stages, nothing_written, reporting


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def again(self, reason: str) -> None:
        raise AssertionError("nothing is tried again")

    def done(self) -> None:
        raise AssertionError("it is not over")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """A terminal that shows no bars, of sixty columns."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "60")
    return _Terminal()


@contextmanager
def _watched_on(stream: io.StringIO, progress: bool | None) -> Iterator[Observer]:
    with redirect_stderr(stream), reporting(progress) as tell:
        yield tell


def test_stages_are_told_and_timed_and_all_but_proofs_add_up() -> None:
    told = _Told()
    stages = Stages(told)
    for name in ("write", "prove", "write", "prove"):
        with stages(name):
            pass
        stages.seconds[name] += 1000
    assert told.stages == ["write", "prove", "write", "prove"]
    assert int(stages.seconds["write"]) == 2000
    assert int(stages.seconds["prove"]) == 1000


def test_a_stage_that_fails_is_timed() -> None:
    stages = Stages(_Told())

    def fail() -> None:
        with stages("plan"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(stages.seconds) == ["plan"]


def test_a_function_is_told_of_stages_and_nothing_is_shown(terminal: _Terminal) -> None:
    told: list[str] = []
    with redirect_stderr(terminal), reporting(told.append) as tell:
        tell.stage("plan")
        tell.again("because")
    assert told == ["plan"]
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_shown_where_nobody_watches_or_asked(progress: bool | None) -> None:
    pipe = io.StringIO()
    with _watched_on(pipe, progress) as tell:
        tell.stage("plan")
        tell.again("because")
    assert pipe.getvalue() == ""


def test_who_asks_where_nobody_watches_gets_lines() -> None:
    pipe = io.StringIO()
    with _watched_on(pipe, True) as tell:
        tell.stage("plan")
        tell.again("it failed")
    assert pipe.getvalue() == "wardian: plan\nwardian: tried again, because it failed\n"


def test_a_terminal_shows_one_line_that_is_written_again_and_taken_away(terminal: _Terminal) -> None:
    with _watched_on(terminal, True) as tell:
        tell.stage("a long stage")
        tell.stage("plan")
        tell.again("it failed")
        tell.done()
        shown = terminal.getvalue()
    assert shown.startswith("\rwardian: a long stage, 0 s\rwardian: plan, 0 s")
    assert f"\rwardian: plan, 0 s{' ' * len('a long ')}" in shown  # nothing is left of what was longer
    assert "wardian: tried again, because it failed\n" in shown
    assert shown.endswith("\r")
    assert shown.rpartition("\n")[2].split("\r")[-2].strip() == ""
    assert terminal.getvalue().strip("\r ") == shown.strip("\r ")  # what is done twice is done once


def test_a_line_is_no_longer_than_the_terminal(terminal: _Terminal) -> None:
    with _watched_on(terminal, True) as tell:
        tell.stage("x" * 99)
    assert max(map(len, terminal.getvalue().split("\r"))) == 59


def test_what_does_not_take_long_shows_nothing_unasked(terminal: _Terminal) -> None:
    with _watched_on(terminal, None) as tell:
        tell.stage("plan")
        assert "wardian-progress" in {thread.name for thread in threading.enumerate()}
    assert terminal.getvalue() == ""
    assert "wardian-progress" not in {thread.name for thread in threading.enumerate()}


def test_a_terminal_has_bars_where_it_can(terminal: _Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    with _watched_on(terminal, True) as tell:
        tell.stage("plan")
        tell.stage("write")
        tell.again("[it] failed")
        tell.stage("prove")
    shown = terminal.getvalue()
    assert "\x1b[" in shown
    assert all(word in shown for word in ("plan", "write", "prove", "tried again, because [it] failed"))


def test_a_terminal_that_is_closed_harms_nothing(terminal: _Terminal) -> None:
    with _watched_on(terminal, True) as tell:
        terminal.close()
        tell.stage("plan")
        tell.again("because")
    with _watched_on(terminal, None) as tell:  # it is not watched
        tell.stage("plan")


@pytest.mark.parametrize("stream", [None, object()])
def test_no_stream_is_not_watched(monkeypatch: pytest.MonkeyPatch, stream: object) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    with reporting(None) as tell:
        tell.stage("plan")


def test_no_picture_is_drawn_while_a_process_is_forked(terminal: _Terminal) -> None:
    with _watched_on(terminal, True) as tell:
        painter = threading.Thread(target=tell.stage, args=("plan",))
        with nothing_written():
            painter.start()
            shown = terminal.getvalue()
        painter.join()
    assert shown == ""
    assert "plan" in terminal.getvalue()
