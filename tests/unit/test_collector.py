"""The garbage collector waits, and goes on only if it was on."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from wardian.collector import collector_paused


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_the_collector_is_off_in_the_block_and_on_after_it() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_turns_it_on_again() -> None:
    def fail() -> None:
        with collector_paused():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_whoever_has_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()


def test_it_decorates() -> None:
    @collector_paused()
    def act() -> bool:
        return gc.isenabled()

    assert [act(), act(), gc.isenabled()] == [False, False, True]
