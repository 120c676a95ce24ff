"""What a load imports: each module of ours is a fifth of a millisecond of the first one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

import wardian
from tests.support import run_python

SHOWS_IMPORTS = """
    import json, sys
    import torch
    before = set(sys.modules)
    import wardian
    wardian.load(sys.argv[1])
    print(json.dumps(sorted(set(sys.modules) - before)))
"""
NOT_NEEDED = {
    "wardian.archive.writer",
    "wardian.domain.graph",
    "wardian.loading.checks",
    "wardian.reading.importers",
    "wardian.reading.licences",
    "wardian.reading.provided",
    "wardian.source.parsing",
}
"""Each begins what writing, checking or explaining a case needs."""


def test_a_load_that_fits_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    wardian.pack(torch.nn.Linear(2, 1), tmp_path / "fern.case", inputs=(torch.ones(2),), prove=False)
    imported = set(json.loads(run_python(SHOWS_IMPORTS, "fern.case", folder=tmp_path, isolated=True)))
    assert "wardian.loading.case" in imported
    assert not NOT_NEEDED & imported
    tops = {name.partition(".")[0] for name in imported}
    assert tops - sys.stdlib_module_names <= {"wardian", "torch", "blake3", "isal", "platformdirs"}
