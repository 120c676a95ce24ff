"""The clean process of the proof imports what is declared, and nothing else."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader
from wardian.errors import ProofError
from wardian.manifest import Manifest
from wardian.prove import _Filter, prove


def test_the_filter_finds_only_what_is_allowed() -> None:
    allowed = _Filter(importlib.machinery.PathFinder, frozenset({"packaging"}), frozenset({"packaging"}))
    assert allowed.find_spec("packaging", None) is not None
    assert allowed.find_spec("json", None) is not None
    assert allowed.find_spec("hypothesis", None) is None
    context = importlib.metadata.DistributionFinder.Context()
    assert {found.metadata["Name"] for found in allowed.find_distributions(context)} == {"packaging"}


def _prove(path: Path) -> None:
    with ArchiveReader.open(path) as archive:
        manifest = Manifest.from_json(archive.manifest, path=None)
    prove(path, manifest)


def test_a_case_that_needs_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    # hypothesis is installed here, and is no extern of the case.
    sources = "--- oak/__init__.py\nimport hypothesis\nclass Acorn: pass"
    path = write_case(tmp_path / "oak.case", sources, pickle=b"\x80\x04coak\nAcorn\n.")
    with pytest.raises(ProofError, match="No module named 'hypothesis'") as caught:
        _prove(path)
    assert "oak/__init__.py" in caught.value.output
    extern = replace(MANIFEST.externs[0], distribution="hypothesis", modules=("hypothesis",))
    write_case(path, sources, pickle=b"\x80\x04coak\nAcorn\n.", externs=(*MANIFEST.externs, extern))
    _prove(path)
