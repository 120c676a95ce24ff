"""Without the library, `wardian.mlflow` says what installs it."""

from __future__ import annotations

import pytest

from tests.unit.missing import import_without


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = import_without("mlflow", "wardian.mlflow", monkeypatch)
    assert str(error).startswith("wardian.mlflow needs mlflow, which is not installed")
    assert "pip install 'wardian[mlflow]'" in str(error)
    assert error.name == "mlflow"
