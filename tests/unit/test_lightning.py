"""Without the library, `wardian.lightning` says what installs it."""

from __future__ import annotations

import pytest

from tests.unit.missing import import_without


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = import_without("lightning", "wardian.lightning", monkeypatch)
    assert str(error).startswith("wardian.lightning needs lightning, which is not installed")
    assert "pip install 'wardian[lightning]'" in str(error)
    assert error.name == "lightning"
