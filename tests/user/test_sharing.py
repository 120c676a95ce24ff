"""`load(path, share=True)`: the installed library instead of the packed copy, where they are the same."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.support import run_python

_LIBRARY = """
from torch import nn

class Fern(nn.Linear):
    def forward(self, x):
        return super().forward(x) * {factor}
"""

_PACK = """
import torch, wardian
from botany.ferns import Fern
wardian.pack(Fern(2, 2), "fern.case", prove=False)
"""

_LOAD = """
import wardian
from botany.ferns import Fern
alone, shared = wardian.load("fern.case"), wardian.load("fern.case", share=True)
print(isinstance(alone, Fern), isinstance(shared, Fern), type(shared).__module__)
"""


def _botany(folder: Path, factor: int) -> None:
    package = folder / "botany"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "ferns.py").write_text(textwrap.dedent(_LIBRARY.format(factor=factor)))


def test_the_installed_library_is_used_where_it_is_the_same(tmp_path: Path) -> None:
    _botany(tmp_path, factor=2)
    run_python(_PACK, folder=tmp_path, paths=(tmp_path,))
    assert run_python(_LOAD, folder=tmp_path, paths=(tmp_path,)).split() == ["False", "True", "botany.ferns"]
    _botany(tmp_path, factor=3)
    assert run_python(_LOAD, folder=tmp_path, paths=(tmp_path,)).split()[:2] == ["False", "False"]
