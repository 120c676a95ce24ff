from __future__ import annotations

import importlib
import sys

import pytest

import wardian
from wardian.integrations import needing


def test_what_is_missing_below_a_library_is_told_as_it_is() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there'"), needing("mlflow"):
        importlib.import_module("not_there")


def test_an_integration_is_an_attribute_that_is_imported_at_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = object()
    monkeypatch.setitem(sys.modules, "wardian.mlflow", stand_in)
    assert wardian.mlflow is stand_in
    assert "mlflow" not in dir(wardian)
