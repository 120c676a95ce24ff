"""The flavor itself does not hide which library is missing; `make integrations` tries it with MLflow."""

from __future__ import annotations

import pytest

from tests.unit.missing import import_without


def test_without_mlflow_the_error_is_that_of_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    error = import_without("mlflow", "wardian.integrations.mlflow", monkeypatch)
    assert error.name == "mlflow"
    assert "pip install" not in str(error)
