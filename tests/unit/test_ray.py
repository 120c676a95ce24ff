"""Without the library, `wardian.ray` says what installs it."""

from __future__ import annotations

import pytest

from tests.unit.missing import import_without


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = import_without("ray", "wardian.ray", monkeypatch)
    assert str(error).startswith("wardian.ray needs ray, which is not installed")
    assert "pip install 'wardian[ray]'" in str(error)
    assert error.name == "ray"
