"""Operators of a library that cannot be loaded are declared once, and refuse to run."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import MANIFEST
from wardian.domain.manifest import Library
from wardian.errors import MissingExternError
from wardian.loading.importing.operators import DeclaredOperators

MISSING = Library(
    record="orchardops/_C.so",
    operators=("orchardops::graft(Tensor x) -> Tensor",),
    torch="1.4.0",
    system="Plan9",
    machine="pdp11",
)


def is_declared() -> bool:
    return hasattr(torch.ops.orchardops, "graft")


def test_what_is_declared_says_where_it_is_and_is_gone_when_it_is_withdrawn() -> None:
    operators = DeclaredOperators(replace(MANIFEST, libraries=(MISSING,)))
    assert not is_declared()
    try:
        operators.declare()
        operators.declare()
        graft: Any = torch.ops.orchardops.graft
        with pytest.raises(MissingExternError, match=r"orchardops::graft is in orchardops/_C\.so") as caught:
            graft(torch.ones(1))
        assert "torch 1.4.0 on Plan9 pdp11" in str(caught.value)
        assert caught.value.distribution == "orchardops"
    finally:
        operators.withdraw()
    assert not is_declared()
    operators.declare()  # withdrawn for good
    assert not is_declared()


def test_nothing_is_declared_for_what_can_be_loaded() -> None:
    fitting = replace(MISSING, torch=torch.__version__, system=platform.system(), machine=platform.machine())
    operators = DeclaredOperators(replace(MANIFEST, libraries=(fitting,)))
    operators.declare()
    assert not is_declared()
    operators.withdraw()


def test_two_cases_declare_the_same_and_the_last_withdraws_it(tmp_path: Path) -> None:
    one, two = (DeclaredOperators(replace(MANIFEST, libraries=(MISSING,))) for _ in range(2))
    one.declare()
    two.declare()
    one.withdraw()
    assert is_declared()
    two.withdraw()
    assert not is_declared()
