"""Sources that this Python cannot compile, in modules that nobody has imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, run_python

SOURCES = {
    "Python 2": b"print 'x'\n",
    "a null byte": b"x = 1\0\n",
    "an unknown encoding": b"# -*- coding: nonsense -*-\n",
    "too deep": b"x = " + b"(" * 500 + b"1" + b")" * 500 + b"\n",
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_function_that_is_not_called_may_name_them(source: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "old.py").write_bytes(SOURCES[source])
    (site / "holly.py").write_text("class Tree:\n    def never(self):\n        import old\n")
    assert torch.__version__, "it must be imported before the project is forgotten again"
    with importable(site) as load:
        tree = load("holly").Tree()
        wardian.pack(tree, tmp_path / "bare.case", prove=False)
        wardian.pack(tree, tmp_path / "proven.case")
    script = "import sys, wardian; print(type(wardian.load(sys.argv[1])).__name__)"
    for name in ("bare", "proven"):
        assert run_python(script, tmp_path / f"{name}.case", folder=tmp_path).split() == ["Tree"]
    assert "old" not in sys.modules
