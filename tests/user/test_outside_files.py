"""Files that a model reads outside of its code: the case does not have them, and packing says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, write_tree

_TREE = """
--- shop/__init__.py
--- shop/net.py
from torch import nn
class Net(nn.Module):
    def __init__(self, path):
        super().__init__()
        self.path = path
    def forward(self, x):
        with open(self.path) as file:
            return x + len(file.read())
"""


def test_an_absolute_path_in_the_object_is_told(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a b")
    target = tmp_path / "shop.case"
    with importable(write_tree(tmp_path / "sources", _TREE)) as load:
        model = load("shop.net").Net(str(words))
        with pytest.warns(
            wardian.WardianWarning, match=r"words\.txt, a path that the object holds, was read"
        ):
            report = wardian.pack(model, target, inputs=(torch.ones(1),))
    assert [warning for warning in report.warnings if str(words) in warning]


def test_a_relative_path_is_refused_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("a b")
    with (
        importable(write_tree(tmp_path / "sources", _TREE)) as load,
        pytest.raises(wardian.ProofError, match=r"words\.txt is in the current folder here") as caught,
    ):
        wardian.pack(load("shop.net").Net("words.txt"), tmp_path / "shop.case", inputs=(torch.ones(1),))
    assert "with_name('words.txt')" in str(caught.value)
    assert not (tmp_path / "shop.case").exists()
