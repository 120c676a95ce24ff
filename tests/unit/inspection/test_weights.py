"""One fact for each named tensor, and the map of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tests.support
from tests.support import MANIFEST
from wardian.domain.manifest import Entry, TensorEntry, TensorForm
from wardian.inspection.treemap import Box
from wardian.inspection.weights import Cell, TensorFacts, maps_of_weights, tensor_facts, tensor_names

TENSOR = replace(tests.support.TENSOR, name="head.weight")
ROOM = Box(0, 0, 400, 300)


def _facts(*tensors: TensorEntry) -> list[TensorFacts]:
    return list(tensor_facts(replace(MANIFEST, tensors=tensors)))


def _cells(*tensors: TensorEntry, box: Box = ROOM) -> list[Cell]:
    (cells,) = maps_of_weights(_facts(*tensors), [box])
    return cells


def _tensor(name: str, number: int, *shape: int) -> TensorEntry:
    return replace(TENSOR, name=name, record=f".data/{number}.storage", shape=shape)


def test_names_have_the_entry_point_before_them_if_there_are_several() -> None:
    manifest = replace(MANIFEST, tensors=(TENSOR,))
    assert [name for name, _ in tensor_names(manifest)] == ["head.weight"]
    other = Entry(name="other", record="other/other.pkl", type="", test=None, outputs=False)
    both = replace(manifest, entries=(*MANIFEST.entries, other))
    assert [name for name, _ in tensor_names(both)] == ["model:head.weight"]


def test_a_tensor_is_told_as_the_manifest_has_it() -> None:
    (fact,) = _facts(TENSOR)
    assert (fact.bytes, fact.kind, fact.layout, fact.record) == (
        24,
        "parameter",
        "strided",
        ".data/0.storage",
    )
    assert (fact.shared_with, fact.shares) == ((), 0)
    (sparse,) = _facts(replace(TENSOR, record=None, form=TensorForm(layout="sparse_coo")))
    assert (sparse.layout, sparse.record, sparse.shares) == ("sparse_coo", None, 0)


@pytest.mark.parametrize(("count", "named"), [(2, 1), (17, 16), (18, 16)])
def test_at_most_sixteen_of_those_that_share_a_record_are_named(count: int, named: int) -> None:
    facts = _facts(*(replace(TENSOR, name=f"w{number}") for number in range(count)))
    for number, fact in enumerate(facts):
        assert fact.shares == count - 1
        assert len(fact.shared_with) == named
        assert f"w{number}" not in fact.shared_with


def test_modules_come_before_what_is_in_them_the_largest_first() -> None:
    cells = _cells(
        _tensor("head.weight", 0, 10, 30),
        _tensor("body.0.weight", 1, 20, 30),
        _tensor("body.0.bias", 2, 30),
    )
    assert [(cell.label, cell.bytes, cell.dtype) for cell in cells] == [
        ("body.0", 2520, ""),
        ("body.0.weight", 2400, "float32"),
        ("", 120, "float32"),  # there is no room
        ("head.weight", 1200, "float32"),
    ]
    assert [cell.title for cell in cells][:2] == ["body.0: 2 tensors", "body.0.weight: float32 [20, 30]"]
    tensors = [cell for cell in cells if cell.dtype]
    assert tensors[0].box.width * tensors[0].box.height > tensors[2].box.width * tensors[2].box.height


def test_equal_layers_stand_in_the_order_of_their_numbers() -> None:
    cells = _cells(*(_tensor(f"layer{number}", number, 100) for number in (10, 2, 1)))
    assert [cell.label for cell in cells] == ["layer1", "layer2", "layer10"]


def test_values_that_are_shared_are_drawn_once_and_those_without_values_not_at_all() -> None:
    cells = _cells(
        TENSOR,
        replace(TENSOR, name="tied"),
        replace(_tensor("none", 1, 3), record=None),
        _tensor("empty", 2, 0),
    )
    assert _cells(_tensor("empty", 2, 0)) == []
    (cell,) = cells
    assert (cell.title, cell.shared) == ("head.weight: float32 [2, 3], shared with tied", True)


def test_what_is_too_small_is_one_cell_of_its_module() -> None:
    tensors = (_tensor("head.a", 0, 3), replace(_tensor("head.b", 1, 3), dtype="float16"))
    (cell,) = _cells(*tensors, box=Box(0, 0, 6, 6))
    assert (cell.title, cell.label, cell.dtype, cell.bytes) == ("head: 2 tensors", "", "several", 18)
    assert _cells(box=ROOM) == []


def test_a_name_of_very_many_parts_is_cut_at_a_depth() -> None:
    name = ".".join("a" * 5000)
    cells = _cells(_tensor(f"{name}.x", 0, 3), _tensor(f"{name}.y", 1, 3), _tensor("b", 2, 3))
    assert len(cells) < 20


def test_a_label_is_as_much_of_the_end_of_a_name_as_there_is_room_for() -> None:
    tensors = _tensor("encoder.layer.weight", 0, 100), _tensor("b", 1, 1)
    labels = [_cells(*tensors, box=Box(0, 0, width, 100))[0].label for width in (400, 130, 57.3, 57.1)]
    assert labels == ["encoder.layer.weight", "layer.weight", "weight", ""]
