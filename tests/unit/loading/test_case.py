"""What an open case offers, and what it says after it is closed."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import importable, write_case, write_tree


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    wardian.pack(torch.nn.Linear(2, 2), tmp_path / "linear.case", inputs=(torch.ones(2),), prove=False)
    return tmp_path / "linear.case"


USES: dict[str, Callable[[wardian.Case], Any]] = {
    "files": lambda case: case.files(),
    "read": lambda case: case.read("byteorder"),
    "load": lambda case: case.load(),
    "tensors": lambda case: case.tensors,
    "state_dict": lambda case: case.state_dict(),
    "check": lambda case: case.check(),
    "import_module": lambda case: case.import_module("fern"),
    "digest": lambda case: case.digest,
    "root": lambda case: case.mount,
}


@pytest.mark.parametrize("use", USES)
def test_a_closed_case_says_that_it_is_closed(use: str, linear: Path) -> None:
    with wardian.open(linear) as case:
        pass
    with pytest.raises(wardian.ClosedCaseError, match=r"linear\.case is closed; open it again"):
        USES[use](case)
    assert case.manifest.proof == "skipped"
    assert repr(case) == f"<Case {linear} (closed)>"


def test_what_was_loaded_stays_usable(linear: Path) -> None:
    with wardian.open(linear) as case:
        model, weight = case.load(), case.tensors["weight"]
    assert torch.equal(model.weight, weight)
    assert model(torch.ones(2)).shape == (2,)


def test_an_error_of_its_code_is_shown_after_it_is_closed(tmp_path: Path) -> None:
    source = "--- fern/__init__.py\nclass Frond:\n    def grow(self):\n        raise ValueError('too dry')"
    path = write_case(tmp_path / "fern.case", source, pickle=b"\x80\x04cfern\nFrond\n.")
    with wardian.open(path) as case:
        frond = case.load()()
    with pytest.raises(ValueError, match="too dry") as caught:
        frond.grow()
    shown = traceback.format_exception(caught.value)
    assert "in grow" in shown[-2]


def test_records_are_read_by_name(linear: Path) -> None:
    with wardian.open(linear) as case:
        assert case.read("byteorder") == b"little"
        assert {"model/model.pkl", ".wardian/manifest.json", ".wardian/seal"} <= set(case.files())
        with pytest.raises(KeyError):
            case.read("no/such/record")


PROJECT = """
--- reed/__init__.py
--- reed/model.py
import torch
class Reed(torch.nn.Module):
    height = 2
    def forward(self, x):
        return {"y": x * self.height}
"""


def test_check_runs_the_self_test_and_tells_a_difference(tmp_path: Path) -> None:
    case = tmp_path / "reed.case"
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        wardian.pack(load("reed.model").Reed(), case, inputs=(torch.ones(2),))
    with wardian.open(case) as opened:
        opened.check()
        opened.check("model")
        opened.import_module("reed.model").Reed.height = 5
        with pytest.raises(
            wardian.CheckError, match=r"'model' failed: output\['y'\] differs by up to 3"
        ) as caught:
            opened.check()
        assert caught.value.entry == "model"
        with pytest.raises(wardian.EntryNotFoundError):
            opened.check("other")


def test_a_mock_can_be_read_and_not_used(tmp_path: Path) -> None:
    sources = """
    --- reed/__init__.py
    import plotlib.axes
    from plotlib import figure, axes
    class Figure(figure.Base): pass
    def plot(): return figure.draw()
    """
    path = write_case(tmp_path / "reed.case", sources, mocks=("plotlib", "plotlib.axes"))
    with wardian.open(path) as case:
        reed = case.import_module("reed")
        assert repr(reed.figure) == "<mocked plotlib.figure>"
        assert isinstance(reed.Figure(), object)
        with pytest.raises(
            NotImplementedError, match=r"plotlib\.figure\.draw was mocked when the case was packed"
        ):
            reed.plot()


REGISTERING = """
--- reed/__init__.py
import torch
from torch.utils import _pytree as pytree

LIBRARY = torch.library.Library("{namespace}", "DEF")
LIBRARY.define("double(Tensor x) -> Tensor")
LIBRARY.impl("double", lambda x: x * 2, "CPU")

@torch.library.custom_op("{namespace}::triple", mutates_args=())
def triple(x: torch.Tensor) -> torch.Tensor:
    return x * 3

@triple.register_fake
def _(x):
    return torch.empty_like(x)

class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b

pytree.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda v, _: Pair(*v),
                            serialized_type_name="reed.{namespace}.Pair")

def use(x):
    leaves = pytree.tree_leaves(Pair(x, x))
    return torch.ops.{namespace}.double(x) + torch.ops.{namespace}.triple(x) + len(leaves)
"""


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_of_a_library_that_registers_operators_live_in_one_process(
    copies: int, tmp_path: Path
) -> None:
    sources = REGISTERING.format(namespace=f"wardian_test_reed_{copies}")
    opened = [
        wardian.open(write_case(tmp_path / f"reed{number}.case", sources, metadata={"copy": str(number)}))
        for number in range(copies)
    ]
    x = torch.ones(1)
    results = [float(case.import_module("reed").use(x)) for case in opened]
    assert results == [7.0] * copies
    for case in opened:
        case.close()


def test_a_mistake_in_a_registration_is_still_told(tmp_path: Path) -> None:
    sources = """
    --- reed/__init__.py
    import torch
    LIBRARY = torch.library.Library("wardian_test_mistake", "DEF")
    LIBRARY.define("not a schema")
    """
    with (
        wardian.open(write_case(tmp_path / "reed.case", sources)) as case,
        pytest.raises(RuntimeError, match=r"(?i)schema|expected"),
    ):
        case.import_module("reed")


def test_objects_of_a_case_survive_pickling_while_it_is_open(tmp_path: Path) -> None:
    sources = "--- reed/__init__.py\nclass Stem:\n    def __init__(self, n):\n        self.n = n"
    with wardian.open(write_case(tmp_path / "reed.case", sources)) as case:
        stem = case.import_module("reed").Stem(3)
        again = pickle.loads(pickle.dumps(stem))
        assert (type(again), again.n) == (type(stem), 3)
