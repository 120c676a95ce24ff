"""A predictor reads columns of a batch, calls the model, and adds the answer as columns."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import wardian


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module; it only imports Ray to tell who has it not."""
    try:
        importlib.import_module("ray")
    except ModuleNotFoundError:
        monkeypatch.setitem(sys.modules, "ray", types.ModuleType("ray"))
        monkeypatch.delitem(sys.modules, "wardian.integrations.ray", raising=False)
        found = importlib.import_module("wardian.integrations.ray")
        monkeypatch.delitem(sys.modules, "wardian.integrations.ray")
        return found
    return importlib.import_module("wardian.integrations.ray")


class Add(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> Any:
        assert not torch.is_grad_enabled()
        assert not self.training
        return x if y is None else {"sum": x + y, "half": (x / 2).to(torch.bfloat16), "count": 2}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ray") / "add.case"
    wardian.pack(Add(), path, prove=False)
    return str(path)


def test_the_answer_is_a_column_beside_the_others(ray: Any, case: str) -> None:
    predict = ray.Predictor(case, input_column="x", output_column="y")
    batch = {"x": np.ones((2, 3), dtype="f4"), "name": np.array(["a", "b"])}
    found = predict(batch)
    assert list(found) == ["x", "name", "y"]
    assert found["y"].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert list(batch) == ["x", "name"]


def test_a_dictionary_gives_a_column_for_each_name(ray: Any, case: str) -> None:
    predict = ray.Predictor(case, input_column=["x", "y"], device="cpu")
    ones = np.ones(2, dtype="f4")
    found = predict({"x": ones, "y": 2 * ones})
    assert {name: np.asarray(value).tolist() for name, value in found.items()} == {
        "x": [1, 1],
        "y": [2, 2],
        "output.sum": [3, 3],
        "output.half": [0.5, 0.5],  # numpy has no bfloat16
        "output.count": 2,
    }


def test_columns_of_arrays_and_views_are_read_as_one_array(ray: Any, case: str) -> None:
    predict = ray.Predictor(case, input_column="x")
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.ones(3), np.zeros(3)]
    assert predict({"x": ragged})["output"].tolist() == [[1, 1, 1], [0, 0, 0]]
    fixed = np.arange(6.0)[::2]
    fixed.flags.writeable = False
    assert predict({"x": fixed})["output"].tolist() == [0, 2, 4]


def test_a_format_that_is_none_of_rays_is_refused_before_the_case_is_loaded(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_format='csv': it is one of 'numpy', 'pandas', 'pyarrow'"):
        ray.Predictor(str(tmp_path / "none.case"), input_column="x", batch_format="csv")
