"""What several unit tests have."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.environment.cache import CACHE_VARIABLE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the cache folder of this test will be: nothing is there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder
