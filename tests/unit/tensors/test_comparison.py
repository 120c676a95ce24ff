"""Outputs are the same only if every bit is, but for the bits of NaN."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import enum
import functools
import warnings
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wardian.tensors.comparison import find_differences

_DTYPES = [
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.complex64,
    torch.int64,
    torch.bool,
    torch.uint8,
]


@pytest.mark.parametrize("dtype", _DTYPES)
def test_equal_tensors_do_not_differ(dtype: torch.dtype) -> None:
    values = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).to(dtype)
    assert not find_differences(values, values.clone())
    assert not find_differences(values.T, values.T.clone())
    assert not find_differences(values[:0], values[:0].clone())
    assert not find_differences(values[0, 0], values[0, 0].clone())


@pytest.mark.parametrize("dtype", _DTYPES)
def test_one_other_value_is_told(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 1.0]).to(dtype)
    (found,) = find_differences({"logits": values}, {"logits": torch.tensor([1.0, 0.0]).to(dtype)})
    assert str(found) == "output['logits'] differs by up to 1, its largest value is 1"
    assert found.size == 1
    assert not found.tolerated


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_the_sign_of_zero_counts(dtype: torch.dtype) -> None:
    zero = torch.tensor([0.0]).to(dtype)
    assert find_differences(zero, -zero)


def test_hooks_of_a_module_in_an_output_do_not_count() -> None:
    one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    other.load_state_dict(one.state_dict())
    one.register_forward_hook(lambda *_: None)
    assert not find_differences(one, other)
    with torch.no_grad():
        other.weight[0, 0] += 1
    assert find_differences(one, other)


def test_one_element_may_have_any_stride() -> None:
    value = torch.ones(1).as_strided((1,), (0,))
    assert not find_differences(value, torch.ones(1))
    assert find_differences(value, torch.zeros(1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.complex128])
@pytest.mark.parametrize("size", [0, 1, 7, 8])
def test_parts_of_storages_are_compared_wherever_they_begin(dtype: torch.dtype, size: int) -> None:
    whole = torch.arange(20).to(dtype)
    for start in range(9):
        part = whole[start : start + size]
        assert find_differences(part, part.clone()) == []
        other = part.clone()
        other[-1:] += 1
        assert len(find_differences(part, other)) == (size > 0)


def test_nan_in_the_same_place_is_the_same() -> None:
    values = torch.tensor([float("nan"), 1.0])
    assert not find_differences(values, values.clone())
    assert find_differences(values, -values)
    other = torch.tensor([0x7FC00001, 0x3F800000], dtype=torch.int32).view(torch.float32)
    assert not find_differences(values, other)


def test_all_differences_are_told() -> None:
    found = find_differences({"a": torch.ones(2), "b": [1, 2.0]}, {"a": torch.zeros(2), "b": [2, 2.5]})
    assert [(d.where, d.size) for d in found] == [
        ("output['a']", 1.0),
        ("output['b'][0]", None),
        ("output['b'][1]", 0.5),
    ]


@pytest.mark.parametrize(
    ("dtype", "small", "large"),
    [
        (torch.float64, 1e-9, 1e-7),
        (torch.float32, 1e-4, 1e-3),
        (torch.float16, 1e-2, 1e-1),
        (torch.bfloat16, 5e-2, 2e-1),
        (torch.complex64, 1e-4, 1e-3),
    ],
)
def test_half_of_the_digits_are_left_to_other_machines(
    dtype: torch.dtype, small: float, large: float
) -> None:
    values = torch.tensor([1.0, 100.0]).to(dtype)
    for change, tolerated in ((small, True), (large, False)):
        other = values.clone()
        other[0] += 100 * change  # relative to the largest
        (found,) = find_differences(values, other)
        assert found.tolerated is tolerated


def test_whole_numbers_and_infinities_must_be_equal() -> None:
    (found,) = find_differences(torch.tensor([10**9]), torch.tensor([10**9 + 1]))
    assert not found.tolerated
    infinite = torch.tensor([float("inf"), 1.0])
    assert not find_differences(infinite, infinite.clone())
    (found,) = find_differences(infinite, -infinite)
    assert not found.tolerated
    (found,) = find_differences(infinite, torch.tensor([float("nan"), 1.0]))
    assert not found.tolerated


def test_a_mapping_that_does_not_iterate_over_its_keys() -> None:
    class Batch(dict[str, torch.Tensor]):
        def __iter__(self) -> Any:
            return iter(torch.ones(2, 3))

    one, other = Batch(a=torch.ones(2)), Batch(a=torch.zeros(2))
    assert find_differences(one, Batch(a=torch.ones(2))) == []
    assert [difference.where for difference in find_differences(one, other)] == ["output['a']"]


class Kind(enum.Enum):
    OAK = 1
    ASH = 2


@dataclasses.dataclass(slots=True)
class Bed:
    soil: torch.Tensor
    depth: int


@dataclasses.dataclass
class Row:
    soil: torch.Tensor

    def dig(self) -> None: ...


class Label(str):
    __slots__ = ("kind",)


def _quantized(values: list[float]) -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.quantize_per_tensor(torch.tensor(values), 0.1, 0, torch.qint8)


def _nested(values: list[float], layout: torch.layout) -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.nested.nested_tensor(
            [torch.tensor(values, dtype=torch.float32), torch.ones(3)], layout=layout
        )


NESTED = "[0] differs by up to 1, its largest value is 2"  # those cannot be copied

_UNLIKE: list[tuple[Any, Any, str]] = [
    (np.array([1.0, 2.0]), np.array([1.0, 2.5]), "differs by up to 0.5, its largest value is 2"),
    (np.float32(1), np.float32(2), "differs by up to 1, its largest value is 1"),
    (np.array(["oak", "ash"]), np.array(["oak", "elm"]), "[1] is 'elm', not 'ash'"),
    (np.zeros(2, "f4"), np.zeros(2, "f8"), "is float64[2], not float32[2]"),
    (np.datetime64("2020-01-01"), np.datetime64("2020-01-02"), "is datetime.date(2020, 1, 2)"),
    (Image.new("L", (2, 2), 1), Image.new("L", (2, 2), 3), "differs by up to 2, its largest value is 1"),
    (Bed(torch.ones(1), 1), Bed(torch.ones(1), 2), "['depth'] is 2, not 1"),
    (Row(torch.ones(1)).dig, Row(torch.zeros(1)).dig, ".__self__['soil'] differs by up to 1"),
    (Kind.OAK, Kind.ASH, "is Kind.ASH, not Kind.OAK"),
    (dt.date(2020, 1, 1), dt.date(2020, 1, 2), "is datetime.date(2020, 1, 2)"),
    (Fraction(1, 2), Fraction(1, 3), "is Fraction(1, 3), not Fraction(1, 2)"),
    (Path("oak"), Path("ash"), "is "),
    (torch.float32, torch.float16, ".__reduce_ex__(4) is 'float16', not 'float32'"),
    (torch.device("cpu"), torch.device("meta"), "is device(type='meta')"),
    (torch.tensor([2**60]), torch.tensor([2**60 + 1]), "differs by up to 1"),
    (torch.tensor([2**60], dtype=torch.uint64), torch.tensor([2**60 + 1], dtype=torch.uint64), "differs by"),
    (_quantized([0.1, 0.2]), _quantized([0.1, 0.5]), "differs by up to 0.3, its largest value is 0.2"),
    (_nested([1, 2], torch.strided), _nested([1, 3], torch.strided), NESTED),
    (_nested([1, 2], torch.jagged), _nested([1, 3], torch.jagged), NESTED),
    (torch.eye(2).to_sparse(), 2 * torch.eye(2).to_sparse(), "differs by up to 1"),
    (torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), None, "is a NoneType, not a tensor"),
    ((1, 2), [1, 2], "is a list, not a tuple"),
    (deque([1]), deque([2]), "[0] is 2, not 1"),
    ({1, 2}, {1, 3}, "is {1, 3}, not {1, 2}"),
    ({torch.float32}, {torch.float16}, "is {torch.float16}, not {torch.float32}"),
    ("a" * 100 + "x", "a" * 100 + "y", "is 'y', not 'x', from its place 100 on"),
    (Label("oak"), Label("ash"), "is 'ash', not 'oak'"),
    (functools.partial(max, 1), functools.partial(max, 2), ".__reduce_ex__(4)[1][1][0] is 2, not 1"),
    (torch.Generator().manual_seed(1), torch.Generator().manual_seed(2), ".__reduce_ex__(4)"),
    (len, max, "is <built-in function max>, not <built-in function len>"),
    (1, 1.0, "is a float, not an int"),
    (True, 1, "is an int, not a bool"),
    (None, torch.ones(1), "is a Tensor, not a NoneType"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("one", "other", "what"), _UNLIKE)
def test_outputs_of_all_kinds_are_told_apart(one: Any, other: Any, what: str) -> None:
    found = find_differences(one, other)
    assert found
    assert f"{found[0].where} {found[0].what}".removeprefix("output").strip().startswith(what.strip())
    assert not found[0].tolerated
    assert find_differences(one, copy.deepcopy(one) if what != NESTED else one) == []


def test_numbers_without_a_dtype_are_taken_for_those_of_a_tensor() -> None:
    loss = torch.tensor(0.1).item()
    (found,) = find_differences(loss, loss * (1 + 1e-6))
    assert found.tolerated
    (found,) = find_differences(0.1, 0.1 * (1 + 1e-6))  # no float32 has this value
    assert not found.tolerated
    (found,) = find_differences([1e-9, 1.0], [1.1e-9, 1.0])
    assert found.tolerated
    assert find_differences([1.0, float("nan")], [1.0, float("nan")]) == []
    for zero in (0.0, complex(1.0, 0.0)):
        assert find_differences(zero, zero) == []
        assert find_differences(zero, zero.conjugate() if zero else -zero)


def test_a_quantized_value_may_be_rounded_the_other_way() -> None:
    (found,) = find_differences(_quantized([0.1, 0.2]), _quantized([0.1, 0.3]))
    assert found.tolerated


def test_sets_of_what_equals_only_itself_are_as_large() -> None:
    assert find_differences({torch.ones(1)}, {torch.ones(1)}) == []
    assert find_differences({torch.ones(1)}, {torch.ones(1), torch.ones(1)})


def test_numbers_of_four_bits() -> None:
    one, other = (
        make(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2) for make in (torch.zeros, torch.ones)
    )
    assert find_differences(one, one) == []
    assert [str(d) for d in find_differences(one, other)] == ["output differs (torch.float4_e2m1fn_x2)"]


def test_what_a_path_keeps_of_its_text_is_no_difference() -> None:
    known = Path("oak") / "leaf"
    str(known), hash(known)
    assert find_differences(known, Path("oak", "leaf")) == []


def test_sequences_are_asked_by_no_method_of_their_class() -> None:
    class Shy(tuple[int, ...]):
        __slots__ = ()

        def __len__(self) -> int:
            raise NotImplementedError

    assert list(find_differences(Shy([1, 2]), Shy([1, 2]))) == []
    (difference,) = find_differences(Shy([1, 2]), Shy([1, 3]), "output")
    assert str(difference) == "output[1] is 3, not 2"
