"""What the child of a proof finds out about an error; `test_prove` runs whole proofs."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import MANIFEST, write_case
from wardian.domain.manifest import PackedDistribution
from wardian.packing.proving import in_child
from wardian.packing.proving.fence import Filter, allowed_distributions
from wardian.processes.clean import ChildError, CleanProcesses, Start

ALLOWED = allowed_distributions(MANIFEST.externs)


def _prove(path: Path) -> dict[str, Any]:
    start = Start("wardian.packing.proving.in_child.prepare", ALLOWED)
    cache = str(path.parent / "cache")
    request = {"path": str(path), "allowed": ALLOWED, "cache": cache, "files_of": None}
    return CleanProcesses().run("wardian.packing.proving.in_child.prove_in_child", request, start)


def _facts(path: Path) -> Any:
    with pytest.raises(ChildError) as caught:
        _prove(path)
    return caught.value.facts


def _case(folder: Path, source: str, **facts: Any) -> Path:
    sources = f"--- oak/__init__.py\n{source}\nclass Acorn:\n    pass\n"
    return write_case(folder / "oak.case", sources, pickle=b"\x80\x04coak\nAcorn\n.", **facts)


def test_a_case_that_loads_ends_without_an_error(tmp_path: Path) -> None:
    assert isinstance(_prove(_case(tmp_path, "")), dict)


def test_a_file_beside_the_caller_is_not_found_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").touch()
    with pytest.raises(ChildError, match="No such file"):
        _prove(_case(tmp_path, "open('labels.txt')"))


@pytest.mark.parametrize(
    ("source", "fact", "value"),
    [
        ("import nobody_o.x", "missing", ["nobody_o"]),
        ("import importlib.metadata\nimportlib.metadata.version('nobody-o')", "versions", True),
        ("open(__file__ + '/../../labels.txt')", "above", None),
        ("raise ValueError", "missing", []),
        ("raise ValueError", "versions", False),
        ("raise ValueError", "alike", False),
    ],
)
def test_facts_about_an_error_travel_with_it(tmp_path: Path, source: str, fact: str, value: object) -> None:
    assert _facts(_case(tmp_path, source))[fact] == value


def test_a_soft_extern_that_is_not_there_was_used(tmp_path: Path) -> None:
    soft = replace(MANIFEST.externs[0], distribution="nobody-o", modules=("nobody_o",), soft=True)
    path = _case(tmp_path, "import nobody_o\nnobody_o.act()", externs=(*MANIFEST.externs, soft))
    assert _facts(path)["used"] == ["nobody_o"]


def test_a_module_that_was_left_out_is_named(tmp_path: Path) -> None:
    metadata = "--- .wardian/metadata/oak/METADATA\nName: oak\n--- .wardian/metadata/oak/left_out\noak.late\n"
    sources = f"--- oak/__init__.py\nimport oak.late\nclass Acorn: pass\n{metadata}"
    owner = (PackedDistribution(name="oak", version="1.0", roots=("oak",)),)
    path = write_case(tmp_path / "oak.case", sources, pickle=b"\x80\x04coak\nAcorn\n.", distributions=owner)
    assert _facts(path)["left_out"] == ["oak.late"]


def test_preparing_puts_up_the_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "filters", warnings.filters[:])
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    told = in_child.prepare(ALLOWED)
    assert set(told) == {"found", "hidden", "plugins", "hidden_plugins"}
    assert all(isinstance(finder, Filter) for finder in sys.meta_path)
    assert importlib.util.find_spec("mypy") is None
