"""Tensors are made again from what the manifest says, or the description is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch.storage import UntypedStorage

from tests.user.test_tensors import KINDS, TENSORS, _made
from wardian.domain.manifest import TensorEntry, TensorForm, TensorPart
from wardian.tensors.comparison import find_differences
from wardian.tensors.index import tensor_index
from wardian.tensors.rebuilding import NotDescribedError, rebuild

pytestmark = pytest.mark.filterwarnings("ignore:.*(nested|beta|uantiz|invariant|deprecated|prototype)")


class Written:
    """The storages of described tensors, and their descriptions."""

    def __init__(self, **tensors: Any) -> None:
        self._numbers: dict[int, str] = {}
        self._storages: dict[str, UntypedStorage] = {}
        self.asked: list[str] = []
        self.entries = {e.name: e for e in tensor_index(tensors, "model", self._key)}

    def _key(self, tensor: torch.Tensor) -> str:
        storage = tensor.untyped_storage()
        key = self._numbers.setdefault(storage._cdata, str(len(self._numbers)))
        self._storages[f".data/{key}.storage"] = storage
        return key

    def placed(self, record: str) -> UntypedStorage:
        self.asked.append("placed")
        return self._storages[record]

    def on_host(self, record: str) -> UntypedStorage:
        self.asked.append("on host")
        return self._storages[record]


def there_and_back(tensor: torch.Tensor) -> torch.Tensor:
    written = Written(x=tensor)
    return rebuild(written.entries["x"], written)


@pytest.mark.parametrize("kind", [k for k in TENSORS if "to come" not in k and "attribute" not in k])
def test_a_described_tensor_is_made_again(kind: str) -> None:
    tensor = _made([kind])[kind]
    again = there_and_back(tensor)
    assert find_differences(tensor, again) == []
    if tensor.layout == torch.strided and not tensor.is_nested:
        assert (again.stride(), again.storage_offset()) == (tensor.stride(), tensor.storage_offset())
        assert (again.is_conj(), again.is_neg()) == (tensor.is_conj(), tensor.is_neg())
        if not tensor.is_meta:
            assert again.untyped_storage()._cdata == tensor.untyped_storage()._cdata


@pytest.mark.parametrize("parts", [[torch.tensor(1.0), torch.tensor(2.0)], []])
def test_a_nested_tensor_may_hold_single_numbers_or_nothing(parts: list[torch.Tensor]) -> None:
    again = there_and_back(torch.nested.nested_tensor(parts))
    assert again.is_nested
    assert [part.tolist() for part in again.unbind()] == [part.tolist() for part in parts]


def test_a_tensor_to_come_is_of_its_kind() -> None:
    written = Written(parameter=KINDS["parameter to come"](), buffer=KINDS["buffer to come"]())
    made = {name: rebuild(entry, written) for name, entry in written.entries.items()}
    assert {name: type(tensor).__name__ for name, tensor in made.items()} == {
        "parameter": "UninitializedParameter",
        "buffer": "UninitializedBuffer",
    }


def test_only_strided_tensors_use_the_bytes_where_they_are_wanted() -> None:
    written = Written(plain=torch.ones(2), sparse=torch.eye(2).to_sparse())
    rebuild(written.entries["plain"], written)
    assert written.asked == ["placed"]
    written.asked.clear()
    rebuild(written.entries["sparse"], written)
    assert written.asked == ["on host", "on host", "placed"]  # the last for its device


def test_what_only_code_can_make_is_told_by_the_name_of_its_class() -> None:
    entry = replace(PLAIN, record=None, form=TensorForm(type="mylib.Grown"))
    with pytest.raises(NotDescribedError, match=r"^mylib\.Grown$"):
        rebuild(entry, Written())


PLAIN = Written(x=torch.arange(6.0)).entries["x"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"shape": (6,), "offset": 0}, None),
        ({"shape": (7,)}, "outside of its record"),
        ({"shape": (6,), "offset": 1}, "outside of its record"),
        ({"shape": (3,), "stride": (2,), "offset": 1}, None),
        ({"shape": (3,), "stride": (2,), "offset": 2}, "outside of its record"),
        ({"shape": (0,), "offset": 7}, None),  # no elements
        ({"shape": (4,), "dtype": "float64"}, "outside of its record"),
        ({"shape": (3,), "dtype": "float64"}, None),
        ({"shape": (2, 3)}, "differ in length"),
        ({"dtype": "float33"}, "unknown dtype 'float33'"),
        ({"dtype": "nn"}, "unknown dtype 'nn'"),
        ({"dtype": "qint8"}, "needs a scheme"),
        ({"record": None}, "no record"),
        ({"record": ".data/9.storage"}, "data/9"),
        ({"shape": (2**62, 2**62), "stride": (0, 0)}, "overflow"),
    ],
)
def test_a_plain_description_fits_its_record(changes: dict[str, Any], what: str | None) -> None:
    written = Written(x=torch.arange(6.0))
    entry = replace(PLAIN, **changes)
    if what is None:
        assert tuple(rebuild(entry, written).shape) == entry.shape
    else:
        with pytest.raises(ValueError, match=what):
            rebuild(entry, written)


def with_part(entry: TensorEntry, role: str, **changes: Any) -> TensorEntry:
    assert entry.form is not None
    parts: dict[str, TensorPart] = {**entry.form.parts}
    parts[role] = replace(parts[role], **changes)
    return replace(entry, form=replace(entry.form, parts=parts))


def with_tensor(entry: TensorEntry, role: str, tensor: TensorEntry) -> TensorEntry:
    """Return an entry whose part of a role is a plain tensor of the same case."""
    places = ("record", "dtype", "shape", "stride", "offset")
    return with_part(entry, role, **{name: getattr(tensor, name) for name in places})


def with_form(entry: TensorEntry, **changes: Any) -> TensorEntry:
    assert entry.form is not None
    return replace(entry, form=replace(entry.form, **changes))


def test_a_quantised_tensor_says_its_scale_once_or_for_each_channel() -> None:
    base = torch.arange(24.0).reshape(4, 6)
    one = torch.quantize_per_tensor(base, 0.1, 3, torch.qint8)
    many = torch.quantize_per_channel(base, torch.ones(4), torch.zeros(4), 0, torch.qint8)
    written = Written(one=one, many=many)
    for entry, what in (
        (with_form(written.entries["one"], scale=None), "no scale or no zero point"),
        (with_form(written.entries["one"], zero_point=None), "no scale or no zero point"),
        (with_form(written.entries["many"], axis=None), "the axis of its channels"),
        (with_form(written.entries["many"], axis=2), "the axis of its channels"),
        (with_form(written.entries["many"], axis=1), "one scale and one zero point for each channel"),
        (
            with_part(written.entries["many"], "scales", shape=(3,)),
            "one scale and one zero point for each channel",
        ),
        (
            with_part(written.entries["many"], "zero_points", shape=(3,)),
            "one scale and one zero point for each channel",
        ),
        (with_form(written.entries["many"], parts={}), "scales"),
    ):
        with pytest.raises(ValueError, match=what):
            rebuild(entry, written)


@cache
def nested() -> Written:
    return Written(
        x=torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)]),
        floats=torch.ones(4),
        sizes=torch.tensor([[2, 3], [1, 3]]),
        larger=torch.tensor([[2, 3], [2, 3]]),
        negative=torch.tensor([[2, 3], [1, -3]]),
        later=torch.tensor([0, 7]),
    )


@pytest.mark.parametrize(
    ("role", "use", "what"),
    [
        ("sizes", "sizes", None),
        ("sizes", "larger", "outside of its values"),
        ("sizes", "negative", "is negative"),
        ("sizes", "later", "not of the kind"),
        ("strides", "later", "not of the kind"),
        ("offsets", "sizes", "not of the kind"),
        ("offsets", "later", "outside of its values"),
        ("offsets", "floats", "not of the kind"),
        ("values", "sizes", "not of the kind"),
    ],
)
def test_parts_of_a_nested_tensor_lie_in_its_values(role: str, use: str, what: str | None) -> None:
    entry = with_tensor(nested().entries["x"], role, nested().entries[use])
    if what is None:
        assert [tuple(row.shape) for row in rebuild(entry, nested()).unbind()] == [(2, 3), (1, 3)]
    else:
        with pytest.raises(ValueError, match=what):
            rebuild(entry, nested())


@cache
def jagged() -> Written:
    return Written(
        x=torch.nested.nested_tensor_from_jagged(
            torch.arange(5.0), torch.tensor([0, 2, 5]), torch.tensor([1, 3])
        ),
        whole=torch.tensor([0, 2, 5]),
        behind=torch.tensor([0, 2, 6]),
        negative=torch.tensor([-1, 2, 5]),
        long=torch.tensor([1, 4]),
        three=torch.tensor([1, 1, 1]),
        floats=torch.ones(3),
    )


@pytest.mark.parametrize(
    ("role", "use", "what"),
    [
        ("offsets", "whole", None),
        ("offsets", "behind", "outside of its values"),
        ("offsets", "negative", "outside of its values"),
        ("offsets", "floats", "not of the kind"),
        ("lengths", "long", "outside of its values"),
        ("lengths", "three", "argument 2 is longer"),
        ("lengths", "floats", "not of the kind"),
    ],
)
def test_rows_of_a_jagged_tensor_lie_in_its_values(role: str, use: str, what: str | None) -> None:
    entry = with_tensor(jagged().entries["x"], role, jagged().entries[use])
    if what is None:
        assert [row.tolist() for row in rebuild(entry, jagged()).unbind()] == [[0.0], [2.0, 3.0, 4.0]]
    else:
        with pytest.raises(ValueError, match=what):
            rebuild(entry, jagged())


@pytest.mark.parametrize("axis", [None, 0, 2])
def test_the_jagged_axis_is_one_of_the_values(axis: int | None) -> None:
    with pytest.raises(ValueError, match="none of its axes"):
        rebuild(with_form(jagged().entries["x"], axis=axis), jagged())
