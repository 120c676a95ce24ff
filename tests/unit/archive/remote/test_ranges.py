"""Which requests bring the bytes that are wanted."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wardian.archive.remote.ranges import Span, join, parts_within


def test_small_gaps_are_read_along_and_large_runs_cut() -> None:
    kib, mib = 1 << 10, 1 << 20
    assert join([Span(0, 10), Span(10 + 64 * kib, 100 * kib)]) == [Span(0, 100 * kib)]
    assert join([Span(0, 9 * mib), Span(9 * mib + 5, 10 * mib)]) == [
        Span(0, 8 * mib),
        Span(8 * mib, 10 * mib),
    ]
    assert join([Span(0, 10), Span(11 + 64 * kib, 100 * kib)]) == [
        Span(0, 10),
        Span(11 + 64 * kib, 100 * kib),
    ]
    assert join([Span(0, 20 * mib)]) == [Span(0, 8 * mib), Span(8 * mib, 16 * mib), Span(16 * mib, 20 * mib)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=20), st.integers(0, 9))
def test_every_wanted_byte_is_asked_once(sizes: list[tuple[int, int]], gap: int) -> None:
    wanted, start = [], 0
    for before, size in sizes:
        wanted.append(Span(start + before, start + before + size))
        start = wanted[-1].stop
    requests = join(wanted, gap=gap, most=16)
    asked = [part for request in requests for part in parts_within(request, wanted)]
    assert sorted(byte for part in asked for byte in range(*part)) == [b for s in wanted for b in range(*s)]
    assert all(0 < request.size <= 16 for request in requests)
    assert all(one.stop <= two.start for one, two in pairwise(requests))
