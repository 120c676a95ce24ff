"""A clean process that waits for ever: packing ends, and the error says where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, write_tree

PROJECT = """
--- orchard/__init__.py
--- orchard/model.py
import signal
import torch

class Patient(torch.nn.Module):
    def forward(self, x):
        signal.pause()
"""


def test_an_object_that_never_answers_is_refused_once(tmp_path: Path) -> None:
    (tmp_path / "model.case").write_bytes(b"yesterday's case")
    stages: list[str] = []
    with (
        importable(write_tree(tmp_path, PROJECT)) as load,
        pytest.raises(wardian.TimeLimitError, match=r"not done after 0\.5 s") as caught,
    ):
        wardian.pack(
            load("orchard.model").Patient(),
            tmp_path / "model.case",
            inputs=(torch.ones(2),),
            limit=0.5,
            progress=stages.append,
        )
    assert stages == ["pickle", "trace"]
    assert "pass limit= in seconds" in str(caught.value)
    assert (tmp_path / "model.case").read_bytes() == b"yesterday's case"
