"""The named tensors of a case, one fact for each, and a map of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from wardian.domain.manifest import Manifest, TensorEntry
from wardian.inspection.sizes import bytes_of
from wardian.inspection.treemap import Box, squarify

__all__ = ["Cell", "TensorFacts", "maps_of_weights", "tensor_facts", "tensor_names"]


_MOST_NAMES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFacts:
    """One named tensor."""

    name: str
    """With its entry point before it, if there are several."""
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    """Size of its values, also if others share them."""
    kind: str
    layout: str
    record: str | None
    shared_with: tuple[str, ...]
    """Names of tensors whose values are in the same record; no more than 16, of a hundred thousand."""
    shares: int
    """How many such there are."""


def tensor_names(manifest: Manifest) -> Iterator[tuple[str, TensorEntry]]:
    """Yield the tensors of a case with their names, which begin with `<entry>:` if there are several."""
    many = len(manifest.entries) > 1
    for tensor in manifest.tensors:
        yield f"{tensor.entry}:{tensor.name}" if many else tensor.name, tensor


def tensor_facts(manifest: Manifest) -> Iterator[TensorFacts]:
    """Yield the named tensors of a case, in their order."""
    names = {id(tensor): name for name, tensor in tensor_names(manifest)}
    places: dict[object, list[TensorEntry]] = {}
    for tensor in manifest.tensors:
        if tensor.record is not None:
            places.setdefault(tensor.record, []).append(tensor)
    for tensor in manifest.tensors:
        beside = places.get(tensor.record, [])
        others = [names[id(other)] for other in islice(beside, _MOST_NAMES + 1) if other is not tensor]
        yield TensorFacts(
            name=names[id(tensor)],
            dtype=tensor.dtype,
            shape=tensor.shape,
            bytes=bytes_of(tensor),
            kind=tensor.kind,
            layout="strided" if tensor.form is None else tensor.form.layout,
            record=tensor.record,
            shared_with=tuple(others[:_MOST_NAMES]),
            shares=max(0, len(beside) - 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A rectangle of the map: a module, or a tensor."""

    box: Box
    label: str
    """Last part of its name; empty where there is no room for it."""
    title: str
    """The full text about it."""
    dtype: str
    """Empty for a module."""
    shared: bool
    bytes: int


@dataclass(slots=True)
class _Node:
    """A module with its tensors, or a tensor."""

    name: str
    bytes: int = 0
    tensors: list[TensorFacts] = field(default_factory=list)
    below: dict[str, _Node] = field(default_factory=dict)


_STRIP, _MARGIN = 20.0, 2.0
_DEEPEST = 12
"""Levels of modules on the map: a name in a hostile file may have thousands."""
_LETTER = 8.2
"""Width of a letter of a label, in the units of the map."""
_SMALLEST = 40.0
"""Area below which a module is drawn as one cell."""


def maps_of_weights(tensors: Iterable[TensorFacts], boxes: Iterable[Box]) -> list[list[Cell]]:
    """Lay out the weights: modules as large as the values of their tensors, those that are shared once.

    Args:
        tensors: What `tensor_facts` gave.
        boxes: The room that there is, for each map.

    Returns:
        The cells of each map, modules before what is in them.
    """
    root = _Node("")
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.record is None or (tensor.shared_with and tensor.record in seen) or not tensor.bytes:
            continue
        seen.add(tensor.record)
        node = root
        node.bytes += tensor.bytes
        node.tensors.append(tensor)
        for part in tensor.name.split(".", _DEEPEST):
            node = node.below.setdefault(part, _Node(f"{node.name}.{part}".lstrip(".")))
            node.bytes += tensor.bytes
            node.tensors.append(tensor)
    return [list(_cells(root, box)) for box in boxes]


def _cells(node: _Node, box: Box) -> Iterator[Cell]:
    while len(node.below) == 1:  # a module of which one part has all the weights
        node = next(iter(node.below.values()))
    if not node.below or box.width * box.height < _SMALLEST:
        if node.tensors:
            yield _leaf(node, box)
        return
    room = box
    if node.name and box.width > 44 and box.height > 3 * _STRIP:
        label = _fitting(node.name, box)
        room = box.inside(_MARGIN, _STRIP if label else 0.0)
        yield Cell(
            box=box,
            label=label,
            title=f"{node.name}: {_count(node.tensors)}",
            dtype="",
            shared=False,
            bytes=node.bytes,
        )
    children = sorted(node.below.values(), key=lambda n: (-n.bytes, _natural(n.name)))
    for area in squarify([child.bytes for child in children], room):
        yield from _cells(children[area.index], area.box)


def _natural(name: str) -> str:
    """Return a key that sorts layer 2 before layer 10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(8), name)


def _leaf(node: _Node, box: Box) -> Cell:
    first = node.tensors[0]
    if len(node.tensors) == 1:
        title = f"{first.name}: {first.dtype} {list(first.shape)}"
        if first.shared_with:
            title += f", shared with {', '.join(first.shared_with[:5])}"
        label = _fitting(first.name, box) if box.height > _STRIP else ""
    else:
        title, label = f"{node.name}: {_count(node.tensors)}", ""
    dtypes = {tensor.dtype for tensor in node.tensors}
    return Cell(
        box=box,
        label=label,
        title=title,
        dtype=first.dtype if len(dtypes) == 1 else "several",
        shared=any(tensor.shared_with for tensor in node.tensors),
        bytes=node.bytes,
    )


def _count(tensors: Sequence[TensorFacts]) -> str:
    return f"{len(tensors)} tensors"


def _fitting(name: str, box: Box) -> str:
    """Return as many of the last parts of a name as there is room for, or nothing."""
    room = int((box.width - 8) / _LETTER)
    parts = name.split(".")
    begin, length = len(parts), -1
    # From the end on: a name in a hostile file may have very many parts.
    while begin and (longer := length + 1 + len(parts[begin - 1])) <= room:
        begin, length = begin - 1, longer
    return ".".join(parts[begin:])
