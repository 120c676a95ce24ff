"""Memory that two processes share, and that neither can cut."""

from __future__ import annotations

import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.sandbox.memory import Region


@given(st.integers(0, 5 * mmap.PAGESIZE))
def test_it_has_at_least_the_size_that_is_asked_for(size: int) -> None:
    region = Region.make(size)
    assert size <= region.size < max(size, 1) + mmap.PAGESIZE
    assert region.size == len(region.map) == os.fstat(region.descriptor).st_size
    assert region.map[:] == bytes(region.size)
    region.close()


def test_both_sides_see_the_same_bytes() -> None:
    made = Region.make(10)
    received = Region(os.dup(made.descriptor), made.size)
    made.map[:5] = b"there"
    received.map[5:9] = b"back"
    assert made.map[:9] == received.map[:9] == b"thereback"
    made.close()
    assert received.map[:5] == b"there"
    received.close()


def test_nobody_can_change_its_size() -> None:
    region = Region.make(10)
    for size in (0, region.size - 1, region.size + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(region.descriptor, size)
    region.close()


def test_what_a_call_still_holds_stays_when_it_is_closed() -> None:
    region = Region.make(10)
    held = memoryview(region.map)
    region.close()
    assert held[0] == 0
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(region.descriptor)
