"""A script packs what it defines; elsewhere, without the script, it loads and returns the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.conftest import SPECIMENS


@pytest.mark.slow
@pytest.mark.parametrize("specimen", [path.stem for path in SPECIMENS])
def test_loads_elsewhere_and_returns_the_same(specimen: str, herbarium: Path) -> None:
    for suffix in (".error", ".wrong"):
        report = herbarium / f"{specimen}{suffix}"
        if report.exists():
            pytest.fail(f"{specimen}:\n{report.read_text()}", pytrace=False)
    assert (herbarium / f"{specimen}.pt").exists()
