"""Operators that are declared in place of a library that cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import files_of, write_case
from wardian.domain.manifest import Library
from wardian.errors import MissingExternError
from wardian.tensors import operators

SCHEMAS = ("hedge::trim(Tensor x, SymInt n) -> Tensor", "hedge::cut.twice(Tensor x) -> (Tensor, Tensor)")


def _exists(operator: str) -> bool:
    return operator in {schema.name for schema in torch._C._jit_get_all_schemas()}


def _refuse(operator: str) -> Exception:
    return LookupError(operator)


@pytest.fixture
def declared() -> Iterator[tuple[str, ...]]:
    mine = operators.declare(SCHEMAS, _refuse)
    yield mine
    operators.withdraw(mine)


def test_a_declared_operator_can_be_named_and_raises_when_it_is_called(declared: tuple[str, ...]) -> None:
    assert declared == SCHEMAS
    with pytest.raises(LookupError, match="hedge::trim"):
        torch.ops.hedge.trim(torch.ones(2), 1)
    with pytest.raises(LookupError, match="hedge::cut"):
        torch.ops.hedge.cut.twice(torch.ones(2))


def test_python_may_register_for_it(declared: tuple[str, ...]) -> None:
    with torch.library._scoped_library("hedge", "FRAGMENT") as library:
        torch.library.register_fake("hedge::trim", lambda x, n: x.new_empty(3), lib=library)
        assert torch.ops.hedge.trim(torch.ones(2, device="meta"), 1).shape == (3,)


def test_operators_that_exist_stay(declared: tuple[str, ...]) -> None:
    assert operators.declare(["aten::add.Tensor(Tensor self, Tensor other) -> Tensor"], _refuse) == ()


def test_the_last_who_wanted_them_takes_them_away() -> None:
    first, second = (operators.declare(SCHEMAS, _refuse) for _ in range(2))
    assert first == second == SCHEMAS
    operators.withdraw(first)
    assert _exists("hedge::trim")
    operators.withdraw(second)
    assert not _exists("hedge::trim")


SOURCE = """
--- hedge/__init__.py
--- hedge/ops.py
import os
import torch
try:
    torch.ops.load_library(os.path.join(os.path.dirname(__file__), "_C.so"))
    HAS_OPS = True
except OSError:
    HAS_OPS = False

@torch.library.register_fake("hedge::trim")
def fake(x, n):
    return x

def trim(x):
    return torch.ops.hedge.trim(x, 1)
"""


def test_a_case_whose_library_does_not_fit_loads_and_says_what_is_missing(tmp_path: Path) -> None:
    library = Library(
        record="hedge/_C.so", operators=SCHEMAS, torch="1.0.0", system="Plan9", machine="x86_64"
    )
    files: dict[str, str | bytes] = {**files_of(SOURCE), "hedge/_C.so": b"ELF"}
    path = write_case(tmp_path / "model.case", files, libraries=(library,))
    with wardian.open(path) as case:
        ops = case.import_module("hedge.ops")
        assert not ops.HAS_OPS
        assert _exists("hedge::trim")
        with pytest.raises(
            MissingExternError, match=r"hedge::trim is in hedge/_C\.so.*torch 1\.0\.0 on Plan9"
        ):
            ops.trim(torch.ones(2))
    assert not _exists("hedge::trim")
    with wardian.open(path) as case:
        case.import_module("hedge.ops")
