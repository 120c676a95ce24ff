"""A map of weights: areas that are as large as what they stand for (a squarified treemap)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Area", "Box", "squarify"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, margin: float, top: float) -> Box:
        """Return the rectangle without a margin, and without a strip at its top."""
        width, height = self.width - 2 * margin, self.height - 2 * margin - top
        return Box(self.x + margin, self.y + margin + top, max(width, 0.0), max(height, 0.0))


@dataclass(frozen=True, slots=True)
class Area:
    """The place of one item."""

    index: int
    """Index of the item."""
    box: Box


def squarify(sizes: Sequence[float], box: Box) -> list[Area]:
    """Divide a rectangle among items, as near to squares as their sizes allow.

    Args:
        sizes: Of the items, the largest first. Those of size 0 get no place.
        box: What is divided.

    Returns:
        The places, in the order of the items.

    >>> [(area.box.x, area.box.y, area.box.width) for area in squarify([2, 1, 1], Box(0, 0, 4, 2))]
    [(0, 0, 2.0), (2.0, 0, 2.0), (2.0, 1.0, 2.0)]
    """
    items = [(index, size) for index, size in enumerate(sizes) if size > 0]
    if not items or box.width <= 0 or box.height <= 0:
        return []
    scale = box.width * box.height / sum(size for _, size in items)
    return list(_rows([(index, size * scale) for index, size in items], box))


def _rows(items: list[tuple[int, float]], box: Box) -> Iterator[Area]:
    row: list[tuple[int, float]] = []
    total = 0.0
    for item in items:
        side = min(box.width, box.height)
        if row and _worst(row[0], item, total + item[1], side) > _worst(row[0], row[-1], total, side):
            placed, box = _lay(row, box)
            yield from placed
            row, total = [], 0.0
        row.append(item)
        total += item[1]
    yield from _lay(row, box)[0]


def _worst(largest: tuple[int, float], smallest: tuple[int, float], total: float, side: float) -> float:
    """Return the worst ratio of sides that the items of a row have along a side: one of its ends has it."""
    if not total or not side:
        return float("inf")
    strip = total * total
    squares = (side * side * area for _, area in (largest, smallest))
    return max(max(square, strip) / min(square, strip) for square in squares)


def _lay(row: Sequence[tuple[int, float]], box: Box) -> tuple[list[Area], Box]:
    """Place a row along the shorter side of a rectangle; return it with what is left of the rectangle."""
    total = sum(area for _, area in row)
    areas: list[Area] = []
    if box.width >= box.height:
        width, y = total / box.height, box.y
        for index, area in row:
            height = area / width if width else 0.0
            areas.append(Area(index, Box(box.x, y, width, height)))
            y += height
        return areas, Box(box.x + width, box.y, max(box.width - width, 0.0), box.height)
    height, x = total / box.width, box.x
    for index, area in row:
        width = area / height if height else 0.0
        areas.append(Area(index, Box(x, box.y, width, height)))
        x += width
    return areas, Box(box.x, box.y + height, box.width, max(box.height - height, 0.0))
