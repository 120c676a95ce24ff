"""A source some of whose parts are on their way before anybody asks for them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.archive.remote.early import EarlySource
from wardian.archive.remote.ranges import Span
from wardian.archive.remote.sources import Download, Tail

CONTENT = bytes(range(256)) * 8
SPAN = st.tuples(st.integers(0, 2000), st.integers(1, 48)).map(lambda it: Span(it[0], it[0] + it[1]))


class Far:
    """A source that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Span] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Event()

    def read(self, start: int, stop: int) -> bytes:
        self.asked.append(Span(start, stop))
        self.was_asked.set()
        self.may_answer.wait()
        return CONTENT[start:stop]

    def tail(self, size: int, known: str | None = None) -> Tail | None:
        return Tail(len(CONTENT), known, CONTENT[-size:])

    def download(self, take: Download) -> str | None:
        take(0, CONTENT, len(CONTENT))
        return "v1"

    def has_changed(self) -> bool:
        return True


@pytest.fixture
def far() -> Far:
    return Far()


@given(SPAN, SPAN)
def test_a_part_is_the_same_whether_it_was_on_its_way_or_not(wanted: Span, read: Span) -> None:
    far = Far()
    assert EarlySource(far, [wanted]).read(*read) == CONTENT[read.start : read.stop]
    # What lies within is not asked for once more.
    within = wanted.start <= read.start and read.stop <= wanted.stop
    assert far.asked == [wanted] if within else far.asked[1:] == [read]


def test_it_begins_before_anybody_asks_and_no_answer_is_waited_for(far: Far) -> None:
    far.may_answer.clear()
    early = EarlySource(far, [Span(10, 20), Span(25, 30)])
    far.was_asked.wait()
    assert far.asked == [Span(10, 30)]
    far.may_answer.set()
    assert early.read(12, 28) == CONTENT[12:28]
    assert far.asked == [Span(10, 30)]


def test_what_was_given_up_is_asked_for_as_any_other(far: Far) -> None:
    early = EarlySource(far, [Span(10, 20)])
    assert early.read(10, 20) == CONTENT[10:20]
    early.give_up()
    assert early.read(10, 20) == CONTENT[10:20]
    assert far.asked == [Span(10, 20)] * 2


def test_an_error_on_the_way_is_that_of_who_asks() -> None:
    class Broken(Far):
        def read(self, start: int, stop: int) -> bytes:
            if start < 100:
                raise ConnectionError("gone")
            return super().read(start, stop)

    early = EarlySource(Broken(), [Span(10, 20)])
    with pytest.raises(ConnectionError):
        early.read(12, 13)
    assert early.read(100, 101) == CONTENT[100:101]


def test_all_else_is_answered_by_the_source(far: Far) -> None:
    early, parts = EarlySource(far, []), list[bytes]()
    assert early.tail(3, "v0") == Tail(len(CONTENT), "v0", CONTENT[-3:])
    assert early.download(lambda offset, part, total: parts.append(part)) == "v1"
    assert parts == [CONTENT]
    assert early.has_changed()
