"""JSON is read by the types of fields: what is of another type is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from wardian.domain.json_readers import InvalidError, Reader, Readers


@dataclass(frozen=True)
class Leaf:
    name: str
    length: int


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    sizes: Mapping[str, int]
    kind: Literal["oak", "elm"]
    note: str | None
    evergreen: bool


OAK = {
    "leaves": [{"name": "a", "length": 3}],
    "sizes": {"trunk": 7},
    "kind": "oak",
    "note": None,
    "evergreen": False,
}


def test_a_document_becomes_dataclasses_that_cannot_be_changed() -> None:
    tree = Readers({}).read(OAK, Tree, "tree")
    assert tree == Tree((Leaf("a", 3),), {"trunk": 7}, "oak", None, False)
    with pytest.raises(TypeError):
        tree.sizes["crown"] = 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"leaves": {}}, "tree.leaves must be a list"),
        ({"leaves": [{"name": "a"}]}, r"tree.leaves\[0\] must be an object .* wrong: \['length'\]"),
        ({"leaves": [{"name": "a", "length": True}]}, r"tree.leaves\[0\].length must be int"),
        ({"leaves": [{"name": "a", "length": -1}]}, "length must be int"),
        ({"leaves": [{"name": "a", "length": 2**63}]}, "length must be int"),
        ({"sizes": []}, "tree.sizes must be an object"),
        ({"sizes": {"trunk": "7"}}, r"tree.sizes\['trunk'\] must be int"),
        ({"kind": "ash"}, "tree.kind must be one of 'oak', 'elm'"),
        ({"note": 3}, "tree.note must be str"),
        ({"evergreen": 0}, "tree.evergreen must be bool"),
        ({"more": 1}, r"tree must be an object with the keys of the format; wrong: \['more'\]"),
    ],
)
def test_what_is_of_another_type_is_told_with_its_place(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidError, match=told):
        Readers({}).read({**OAK, **change}, Tree, "tree")


def test_a_type_may_have_a_reader_of_its_own_that_falls_back_to_its_fields() -> None:
    def of_leaf(readers: Readers) -> Reader:
        by_fields = readers.of_object(Leaf)
        return lambda value, where: Leaf(value, 0) if type(value) is str else by_fields(value, where)

    readers = Readers({Leaf: of_leaf})
    found = readers.read(["a", {"name": "b", "length": 2}], tuple[Leaf, ...], "leaves")
    assert found == (Leaf("a", 0), Leaf("b", 2))
    assert readers.of(Leaf) is readers.of(Leaf)
