"""joblib's workers, which are older than the case that an argument of theirs is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

import wardian
from tests.support import importable, write_tree

PROJECT = """
--- kiln/__init__.py
--- kiln/net.py
import torch

class Net(torch.nn.Linear):
    pass
"""


def _call(model: Any, x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model(x).detach()
    return found


@pytest.mark.slow
def test_a_loaded_model_is_the_argument_of_an_older_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        wardian.pack(load("kiln.net").Net(2, 1), tmp_path / "net.case", prove=False)
    monkeypatch.delenv("WARDIAN_OPEN_CASES", raising=False)
    monkeypatch.setenv("WARDIAN_CASES", str(tmp_path / "net.case"))
    try:
        joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in range(4))
        model, x = wardian.load(tmp_path / "net.case"), torch.ones(3, 2)
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(_call)(model, x) for _ in range(2))
        assert all(torch.equal(answer, _call(model, x)) for answer in found)
    finally:
        get_reusable_executor().shutdown(wait=True)
