"""Descriptions of tensors: what they say, and which tensors have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from wardian.domain.manifest import TensorEntry
from wardian.domain.names import PlainTensor
from wardian.tensors.index import tensor_index

BASE = torch.arange(24.0).reshape(4, 6)
pytestmark = pytest.mark.filterwarnings("ignore:.*(nested|beta|quantiz|[Qq]uantised|deprecated)")


class Keys:
    """Numbers storages as they are asked for; those *missing* by number were not written."""

    def __init__(self, *missing: int) -> None:
        self._missing = missing
        self._known: dict[int, int] = {}

    def __call__(self, tensor: torch.Tensor) -> str | None:
        number = self._known.setdefault(tensor.untyped_storage()._cdata, len(self._known))
        return None if number in self._missing else str(number)


def described(tensor: Any, *missing: int) -> TensorEntry | None:
    found = tensor_index([tensor], "model", Keys(*missing))
    return found[0] if found else None


class Grown(torch.Tensor):
    pass


class Tall(nn.Parameter):
    """Refuses to be asked."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(func)


def test_a_plain_tensor_is_a_place_in_a_record() -> None:
    found = described(BASE.t()[1:])
    assert found == TensorEntry(
        entry="model",
        name="0",
        record=".data/0.storage",
        dtype="float32",
        shape=(5, 4),
        stride=(1, 6),
        offset=1,
        requires_grad=False,
        kind="buffer",
    )


def test_tensors_of_one_storage_have_one_record() -> None:
    found = tensor_index({"a": BASE, "b": torch.ones(1), "c": BASE[1]}, "model", Keys())
    assert [(e.name, e.record, e.offset) for e in found] == [
        ("a", ".data/0.storage", 0),
        ("b", ".data/1.storage", 0),
        ("c", ".data/0.storage", 6),
    ]


def test_parts_of_a_module_are_of_their_kinds() -> None:
    norm = nn.BatchNorm1d(2)
    norm.register_buffer("scratch", torch.zeros(1), persistent=False)
    kinds = {e.name: (e.kind, e.requires_grad) for e in tensor_index(norm, "model", Keys())}
    assert kinds["weight"] == ("parameter", True)
    assert kinds["running_mean"] == ("buffer", False)
    assert kinds["scratch"] == ("transient", False)


def test_a_parameter_of_a_class_of_its_own_is_not_asked() -> None:
    found = described(Tall(torch.ones(2, 3)))
    assert found is not None
    assert (found.shape, found.form) == ((2, 3), None)


def test_what_the_pickle_says_is_taken_for_what_a_tensor_is() -> None:
    plain = PlainTensor("7", "FloatStorage", 9, 4, (2,), (3,), requires_grad=True)
    (found,) = tensor_index({"w": torch.ones(2)}, "model", Keys(), lambda tensor: plain)
    assert (found.record, found.offset, found.shape, found.stride) == (".data/7.storage", 4, (2,), (3,))
    assert (found.dtype, found.requires_grad) == ("float32", True)
    # None: it has to be asked.
    (found,) = tensor_index({"w": torch.ones(2)}, "model", Keys(), lambda tensor: None)
    assert (found.record, found.offset) == (".data/0.storage", 0)


SPECIAL: dict[str, tuple[Callable[[], Any], str, tuple[str, ...]]] = {
    "COO": (BASE.to_sparse, "sparse_coo", ("indices", "values")),
    "CSR": (BASE.to_sparse_csr, "sparse_csr", ("col_indices", "crow_indices", "values")),
    "CSC": (BASE.to_sparse_csc, "sparse_csc", ("ccol_indices", "row_indices", "values")),
    "BSR": (lambda: BASE.to_sparse_bsr((2, 2)), "sparse_bsr", ("col_indices", "crow_indices", "values")),
    "nested": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "nested",
        ("offsets", "sizes", "strides", "values"),
    ),
    "jagged": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        "jagged",
        ("offsets", "values"),
    ),
    "per channel": (
        lambda: torch.quantize_per_channel(BASE, torch.ones(4), torch.zeros(4), 0, torch.qint8),
        "strided",
        ("scales", "zero_points"),
    ),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_tensor_that_is_made_of_parts_names_each(kind: str) -> None:
    make, layout, roles = SPECIAL[kind]
    tensor = make()
    found = described(tensor)
    assert found is not None
    assert found.form is not None
    assert (found.form.layout, tuple(found.form.parts)) == (layout, roles)
    assert found.dtype == str(tensor.dtype).removeprefix("torch.")
    assert (found.record is None) is (layout != "strided")
    records = {part.record for part in found.form.parts.values()}
    assert len(records) == len(roles)


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_tensor_of_which_a_part_was_not_written_has_no_description(kind: str) -> None:
    make, _, roles = SPECIAL[kind]
    for missing in range(len(roles)):
        assert described(make(), missing) is None


def test_a_tensor_whose_storage_was_not_written_has_no_description() -> None:
    assert described(torch.ones(2), 0) is None
    assert described(torch.tensor([1j]).conj(), 0) is None


def test_what_changes_the_values_of_a_view_is_said() -> None:
    conjugate, negative = described(torch.tensor([1j]).conj()), described(torch._neg_view(BASE))
    assert conjugate is not None
    assert negative is not None
    assert conjugate.form is not None
    assert negative.form is not None
    assert (conjugate.form.conj, conjugate.form.neg) == (True, False)
    assert (negative.form.conj, negative.form.neg) == (False, True)


def test_one_scale_is_exact() -> None:
    found = described(torch.quantize_per_tensor(BASE, 0.1, 3, torch.quint8))
    assert found is not None
    assert found.form is not None
    assert (float.fromhex(found.form.scale or ""), found.form.zero_point) == (0.1, "3")
    assert (found.dtype, found.record) == ("quint8", ".data/0.storage")


def test_without_values_there_is_no_record() -> None:
    for tensor, layout in ((torch.empty_strided((3, 4), (1, 3), device="meta"), "strided"),):
        found = described(tensor)
        assert found is not None
        assert found.form is not None
        assert (found.record, found.form.layout, found.shape, found.stride) == (None, layout, (3, 4), (1, 3))
    for kind in (nn.UninitializedParameter, nn.UninitializedBuffer):
        found = described(kind())
        assert found is not None
        assert found.form is not None
        assert (found.record, found.form.layout, found.shape) == (None, "uninitialized", ())


def test_of_a_class_of_its_own_only_class_and_shape_are_known() -> None:
    found = described(torch.ones(2, 3).as_subclass(Grown))
    assert found is not None
    assert found.form is not None
    assert (found.form.type, found.shape, found.record) == (f"{__name__}.Grown", (2, 3), None)
