"""Objects whose call asks for gradients itself: forces of a field, what an equation says of derivatives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, run_python, write_tree

FIELD = """
--- heath.py
import torch

class Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.energy, self.calls = torch.nn.Linear(3, 1), 0

    def forward(self, places):
        self.calls += 1
        places = places.detach().requires_grad_(True)
        energy = self.energy(places).tanh().sum()
        (gradient,) = torch.autograd.grad(energy, places, create_graph=True)
        return {"energy": energy, "forces": -gradient}

class Broken(torch.nn.Module):
    def forward(self, places):
        raise LookupError(f"no place, {torch.is_grad_enabled()}")
"""
CHECK = """
import torch, wardian
with wardian.open("field.case") as case:
    assert case.check().exact
    found = case.load()(torch.ones(2, 3))
print(found["energy"].requires_grad, tuple(found["forces"].shape))
"""


PACK = """
import torch, wardian
from heath import Field
field, x = Field().eval(), torch.ones(2, 3)
torch.nn.Linear(3, 1)(x).sum().backward()  # as a training does
report = wardian.pack(field, "field.case", inputs=(x,))
print(report.manifest.proven, report.warnings, report.notes, field.calls)
"""


def test_a_field_that_gives_forces_is_proven(tmp_path: Path) -> None:
    project = write_tree(tmp_path / "project", FIELD)
    packed = run_python(PACK, folder=tmp_path, paths=(project,))
    assert packed == "the object was loaded and called, outputs equal () () 0\n"
    assert run_python(CHECK, folder=tmp_path) == "True (2, 3)\n"


def test_what_fails_with_gradients_too_is_told_as_one_sees_it(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, FIELD)) as load, pytest.raises(wardian.PackError) as refused:
        wardian.pack(load("heath").Broken(), tmp_path / "field.case", inputs=(torch.ones(2, 3),))
    assert str(refused.value).startswith("LookupError: no place, True")
    assert "model(...) does not work here, either" in str(refused.value)
