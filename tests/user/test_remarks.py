"""What can be packed and is seldom meant: a warning, or a note in the report; a row of the table each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

import wardian
from tests.support import importable, write_tree


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.drop = nn.Dropout(0.5)
        self.other = nn.Dropout(0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.drop(self.norm(x))
        return result


def _without_source() -> Any:
    namespace: dict[str, Any] = {}
    exec(compile("def double(x):\n    return 2 * x\n", "<nowhere>", "exec"), namespace)
    return namespace["double"]


def _compiled_inside() -> nn.Module:
    model = nn.Sequential(nn.Linear(1, 1))
    model[0].compile()
    return model


PLAIN = nn.Linear(1, 1).eval()

WARNINGS: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "a class": (lambda: nn.Linear, {}, "pass an instance: Linear(...)"),
    "a state_dict": (PLAIN.state_dict, {}, "weights only"),
    "a plain dict of weights": (lambda: dict(nn.Sequential(PLAIN).state_dict()), {}, "safetensors"),
    "no source": (_without_source, {}, "is packed as bytecode, so the case loads in CPython 3."),
    "an extern with a typing error": (
        lambda: PLAIN,
        {"policy": wardian.Policy(extern="troch.**")},
        'the rule extern: "troch.**" (near to it: torch',
    ),
    "an intern that matches nothing": (
        lambda: PLAIN,
        {"policy": wardian.Policy(intern="meadow.**")},
        'the rule intern: "meadow.**" matches no module that model reaches',
    ),
    "a deny with a typing error": (
        lambda: PLAIN,
        {"policy": wardian.Policy(deny="torhc")},
        "near to it: torch",
    ),
}

NOTES: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "a rule that guards": (
        lambda: PLAIN,
        {"policy": wardian.Policy(deny="company_secrets.**")},
        "had nothing to do",
    ),
    "training": (
        lambda: nn.Sequential(Small()),
        {},
        "BatchNorm1d (model.0.norm), Dropout (model.0.drop) then do something else than after model.eval()",
    ),
    "dropout of attention": (
        lambda: nn.Sequential(nn.MultiheadAttention(2, 1, dropout=0.1)),
        {},
        "MultiheadAttention (model.0) then does something else",
    ),
    "a compiled module": (lambda: torch.compile(PLAIN), {}, "model was made by torch.compile"),
    "a compiled module inside": (
        lambda: nn.Sequential(cast("nn.Module", torch.compile(PLAIN))),
        {},
        "model.0 was made by torch.compile: the module and the options are packed, not the machine code",
    ),
    "Module.compile": (
        _compiled_inside,
        {},
        "model.0 is compiled by torch.compile and comes back uncompiled",
    ),
}


@pytest.mark.parametrize("what", WARNINGS)
def test_a_warning(what: str, tmp_path: Path) -> None:
    make, options, words = WARNINGS[what]
    with pytest.warns(wardian.WardianWarning) as caught:
        report = wardian.pack(make(), tmp_path / "a.case", prove=False, **options)
    assert [str(warning.message) for warning in caught] == list(report.warnings)
    assert len(report.warnings) == 1
    assert words in report.warnings[0]
    assert "warning: " in str(report)


@pytest.mark.parametrize("what", NOTES)
def test_a_note(what: str, tmp_path: Path) -> None:
    make, options, words = NOTES[what]
    report = wardian.pack(make(), tmp_path / "a.case", prove=False, **options)
    assert [words in note for note in report.notes] == [True]
    assert report.warnings == ()
    assert "note: " in str(report)


def test_libraries_that_only_functions_import_are_noted(tmp_path: Path) -> None:
    source = """
--- sketch.py
def draw(x):
    import json, vit_pytorch
    from orchard import plums
    return vit_pytorch, plums, json
--- orchard/plums.py
"""
    with importable(write_tree(tmp_path / "project", source)) as load:
        report = wardian.pack(load("sketch").draw, tmp_path / "a.case", prove=False)
    (note,) = report.notes
    assert note.startswith("vit_pytorch (sketch, line 2): functions import it that did not run")


def test_outputs_that_were_not_compared_are_noted_with_the_reason(tmp_path: Path) -> None:
    source = """
--- brook.py
def words(text):
    return len(text), (word for word in text.split())
def count(text):
    return len(text)
"""
    with importable(write_tree(tmp_path / "project", source)) as load:
        brook = load("brook")
        report = wardian.pack(
            path=tmp_path / "a.case",
            entries={"words": brook.words, "count": brook.count},
            inputs={"words": ("a b",), "count": ("a b",)},
        )
    (note,) = report.notes
    assert note.startswith("words: its outputs were not compared: outputs[1] is a generator and cannot be")
    assert f"  note: {note}" in str(report)
    assert "count: loaded and called, outputs equal" in report.manifest.proven


def test_variables_of_the_environment_that_code_needs_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEADOW_SCALE", "3")
    monkeypatch.setenv("MEADOW_NAME", "hay")
    monkeypatch.delenv("MEADOW_GONE", raising=False)
    source = """
--- meadow.py
import os
from os import environ
def mow(x):
    if x is None:
        return environ["MEADOW_GONE"]
    return x * int(environ["MEADOW_SCALE"]), os.environ.get("MEADOW_NAME")
"""
    with importable(write_tree(tmp_path / "project", source)) as load:
        report = wardian.pack(load("meadow").mow, tmp_path / "a.case", inputs=(2,))
    (note,) = report.notes
    read = "meadow, line 6, reads the environment variable MEADOW_SCALE"
    assert note == f"{read}, which must be set where the case is loaded"


@pytest.mark.parametrize(
    "obj",
    [
        Small().eval(),
        nn.Sequential(nn.Dropout(0.0), nn.LayerNorm(2)),
        {"weight": torch.ones(2), "bias": torch.zeros(1)},
        {"model": PLAIN, "epoch": 3},
    ],
    ids=["eval", "nothing random", "tensors", "a dictionary"],
)
def test_nothing_to_say(obj: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = wardian.pack(obj, tmp_path / "a.case", prove=False)
    assert report.warnings == report.notes == ()


def test_a_warning_points_at_the_line_that_packs(tmp_path: Path) -> None:
    with pytest.warns(wardian.WardianWarning) as caught:
        wardian.pack(nn.Linear, tmp_path / "class.case", prove=False)
    assert [warning.filename for warning in caught] == [__file__]
