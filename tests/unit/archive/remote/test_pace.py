"""The least speed of what comes, by a clock that the test moves."""

from __future__ import annotations

import io

import pytest
import urllib3

from wardian.archive.remote import pace
from wardian.archive.remote.pace import SPEED_VARIABLE, WINDOW, TooSlowError, least_speed, time_for
from wardian.errors import WardianWarning


class Line(io.RawIOBase):
    """Gives the parts of an answer, each after some seconds of the clock."""

    def __init__(self, parts: list[tuple[float, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
        self._parts = iter(parts)
        self.now = 0.0
        monkeypatch.setattr(pace, "_clock", lambda: self.now)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        seconds, part = next(self._parts, (0.0, b""))
        self.now += seconds
        buffer[: len(part)] = part
        return len(part)


def read(parts: list[tuple[float, bytes]], monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv(SPEED_VARIABLE, "100")
    return io.BufferedReader(pace._Paced(Line(parts, monkeypatch)), 8192).read()


def test_what_comes_fast_enough_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = [(WINDOW, bytes(3000))] * 5
    assert len(read(fast, monkeypatch)) == 15_000


def test_what_comes_too_slowly_is_given_up_after_a_window_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(read([(0.0, b"x"), (WINDOW - 1, b"x")], monkeypatch)) == 2
    with pytest.raises(TooSlowError, match="fewer than 100 bytes come in a second; WARDIAN_MIN_SPEED sets"):
        read([(0.0, b"x"), (WINDOW, bytes(2999))], monkeypatch)


def test_speed_is_that_of_one_window_and_not_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooSlowError):
        read([(0.0, b"x"), (WINDOW, bytes(8000)), (WINDOW, b"x")], monkeypatch)


def test_how_long_the_first_byte_takes_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read([(10 * WINDOW, b"x"), (1.0, b"y")], monkeypatch) == b"xy"


def test_an_end_is_no_slow_part(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read([(0.0, b"x"), (2 * WINDOW, b"")], monkeypatch) == b"x"


def test_the_line_is_closed_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line([], monkeypatch)
    paced = pace._Paced(line)
    paced.close()
    paced.close()
    assert line.closed


@pytest.mark.parametrize(
    ("text", "least", "seconds"),
    [("", 1024.0, 31.0), (" 2048 ", 2048.0, 30.5), ("1e3", 1000.0, 31.024), ("0", 0.0, None)],
)
def test_the_environment_says_how_fast_it_must_be(
    text: str, least: float, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SPEED_VARIABLE, text)
    assert least_speed() == least
    assert time_for(1024) == seconds


@pytest.mark.parametrize("text", ["fast", "-1", "nan", "1,000", "x" * 500])
def test_what_is_no_number_of_bytes_counts_for_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SPEED_VARIABLE, text)
    with pytest.warns(WardianWarning, match="must be a number of bytes, or 0; 1024 counts") as caught:
        assert least_speed() == 1024.0
    assert len(str(caught[0].message)) < 200


def test_every_connection_of_a_manager_keeps_it() -> None:
    manager = pace.pace(urllib3.PoolManager())
    for url in ("http://models.example/", "https://models.example/"):
        connection: object = manager.connection_from_url(url).ConnectionCls
        assert getattr(connection, "response_class", None) is pace._Answer
