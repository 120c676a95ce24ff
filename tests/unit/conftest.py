"""What several unit tests have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.forest import Forest, grown
from wardian.environment.cache import CACHE_VARIABLE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the cache folder of this test will be: nothing is there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def forest(tmp_path: Path) -> Forest:
    """Return what builds a trace of a few modules, of which more can be added."""
    return grown(tmp_path)
