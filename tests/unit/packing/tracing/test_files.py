"""Which files of an installed distribution can come along."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import write_tree
from wardian.environment.distributions import Distribution, Distributions
from wardian.packing.tracing.files import _installed_files

SITE = """
--- timberlib-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: timberlib
Version: 1.0
--- timberlib-1.0.dist-info/RECORD
timberlib/__init__.py,,
timberlib/gone.py,,
timberlib/kernels.cu,,
timberlib/ops.so,,
timberlib/rings.json,,
timberlib/weights.bin,,
timberlib-1.0.dist-info/METADATA,,
timberlib.pth,,
--- timberlib/__init__.py
--- timberlib/kernels.cu
--- timberlib/ops.so
--- timberlib/rings.json
--- timberlib.pth
"""


@pytest.fixture
def timberlib(tmp_path: Path) -> Distribution:
    write_tree(tmp_path, SITE)
    (tmp_path / "timberlib" / "weights.bin").write_bytes(bytes((1 << 20) + 1))
    return Distributions([str(tmp_path)])["timberlib"]


def _records(found: list[tuple[str, str, int]]) -> set[str]:
    return {record for record, _, _ in found}


def test_sources_and_small_data_come_along(timberlib: Distribution) -> None:
    files, left_out = _installed_files(timberlib, frozenset(), ())
    assert _records(files) == {"timberlib/__init__.py", "timberlib/rings.json"}
    assert left_out == ["timberlib/weights.bin"]


def test_what_the_run_has_read_or_loaded_comes_along(timberlib: Distribution) -> None:
    place = f"{timberlib.root}/timberlib"
    read = frozenset({f"{place}/kernels.cu", f"{place}/weights.bin"})
    files, left_out = _installed_files(timberlib, read, [f"{place}/ops.so"])
    assert _records(files) == {
        f"timberlib/{name}" for name in ("__init__.py", "kernels.cu", "ops.so", "rings.json", "weights.bin")
    }
    assert left_out == []
