"""The laws of a map: areas as large as what they stand for, which fill the box and do not overlap."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.inspection.treemap import Area, Box, squarify

sizes = st.lists(st.integers(min_value=0, max_value=1000), max_size=25).map(lambda s: sorted(s, reverse=True))
boxes = st.builds(
    Box,
    st.integers(-5, 5),
    st.integers(-5, 5),
    st.floats(min_value=1, max_value=900),
    st.floats(min_value=1, max_value=900),
)


@given(sizes, boxes)
def test_each_item_has_its_share_and_all_of_them_the_box(sizes: list[int], box: Box) -> None:
    areas = squarify(sizes, box)
    assert [area.index for area in areas] == [index for index, size in enumerate(sizes) if size]
    for area in areas:
        share = sizes[area.index] / sum(sizes) * box.width * box.height
        assert area.box.width * area.box.height == pytest.approx(share)


@given(sizes, boxes)
def test_no_area_leaves_the_box_or_overlaps_another(sizes: list[int], box: Box) -> None:
    slack = 1e-6 * max(box.width, box.height)
    areas = [area.box for area in squarify(sizes, box)]
    for one in areas:
        assert one.x >= box.x - slack
        assert one.y >= box.y - slack
        assert one.x + one.width <= box.x + box.width + slack
        assert one.y + one.height <= box.y + box.height + slack
    for one, other in itertools.combinations(areas, 2):
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert across <= slack or down <= slack


@given(st.integers(min_value=1, max_value=30), boxes)
def test_equal_items_are_nearer_to_squares_than_strips_would_be(count: int, box: Box) -> None:
    def ratio(width: float, height: float) -> float:
        return max(width / height, height / width)

    worst = max(ratio(area.box.width, area.box.height) for area in squarify([1] * count, box))
    strips = min(ratio(box.width / count, box.height), ratio(box.width, box.height / count))
    assert worst <= strips * (1 + 1e-9)


def test_nothing_has_no_place() -> None:
    assert squarify([], Box(0, 0, 4, 2)) == []
    assert squarify([0, 0], Box(0, 0, 4, 2)) == []
    assert squarify([1], Box(0, 0, 0, 2)) == squarify([1], Box(0, 0, 4, 0)) == []
    assert squarify([3], Box(1, 2, 4, 2)) == [Area(0, Box(1, 2, 4, 2))]


def test_a_margin_and_a_strip_leave_what_is_left() -> None:
    assert Box(1, 2, 10, 20).inside(2, 5) == Box(3, 9, 6, 11)
    assert Box(1, 2, 3, 20).inside(2, 30) == Box(3, 34, 0, 0)
