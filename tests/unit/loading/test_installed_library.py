"""An installed library is used if every packed source of it is there, byte for byte."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import MANIFEST, files_of, importable, write_tree
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import Manifest, PackedDistribution
from wardian.loading.installed_library import find_shared

LIBRARY = """
--- orchardlib/__init__.py
YEAR = 2024
--- orchardlib/trees/oak.py
RINGS = 3
--- orchardone.py
ONE = 1
"""


def manifest_of(files: dict[str, str], *roots: str) -> Manifest:
    records = {
        name: RecordDigest(len(text), "sha256", hashlib.sha256(text.encode()).hexdigest())
        for name, text in files.items()
    }
    distribution = PackedDistribution(name="orchardlib", version="1.0", roots=roots)
    return replace(MANIFEST, records=records, distributions=(distribution,))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return write_tree(tmp_path, LIBRARY)


def shared(installed: Path, manifest: Manifest) -> frozenset[str]:
    with importable(installed):
        found = find_shared(manifest)
        assert not {name for name in sys.modules if name.startswith("orchard")}
        return found


def test_packages_and_single_modules_with_equal_sources_are_shared(installed: Path) -> None:
    manifest = manifest_of(files_of(LIBRARY), "orchardlib", "orchardone")
    assert shared(installed, manifest) == {"orchardlib", "orchardone"}


@pytest.mark.parametrize(
    "change",
    [
        {"orchardlib/trees/oak.py": "RINGS = 4\n"},
        {"orchardlib/trees/ash.py": "RINGS = 3\n"},  # not installed
    ],
)
def test_one_other_source_is_enough_not_to_share(installed: Path, change: dict[str, str]) -> None:
    manifest = manifest_of({**files_of(LIBRARY), **change}, "orchardlib", "orchardone")
    assert shared(installed, manifest) == {"orchardone"}


def test_what_is_not_packed_may_differ(installed: Path) -> None:
    packed = {"orchardlib/__init__.py": "YEAR = 2024\n", ".data/notes.py": "x", "orchardlib/notes.txt": "x"}
    assert shared(installed, manifest_of(packed, "orchardlib")) == {"orchardlib"}


def test_what_is_not_installed_or_has_no_sources_is_not_shared(installed: Path, tmp_path: Path) -> None:
    manifest = manifest_of(files_of(LIBRARY), "orchardlib")
    assert shared(tmp_path / "empty", manifest) == frozenset()
    assert shared(installed, manifest_of({}, "orchardlib")) == frozenset()
