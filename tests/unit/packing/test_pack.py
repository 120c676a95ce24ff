"""The order of what packing does, and what it leaves behind. No process is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from wardian.errors import PackError, WardianWarning
from wardian.packing.pack import pack


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Yesterday's file."""
    path = tmp_path / "oak.case"
    path.write_bytes(b"yesterday")
    return path


def _left(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target.parent.iterdir()}


def test_stages_are_told_in_order_and_timed(target: Path) -> None:
    told: list[str] = []
    report = pack({"rings": 3}, target, prove=False, progress=told.append)
    assert [stage.partition(" ")[0] for stage in told] == ["pickle", "trace", "plan", "write"]
    assert list(report.seconds) == ["pickle", "trace", "plan", "write"]
    assert (report.path, report.size, report.attempts) == (target, target.stat().st_size, ())
    assert report.manifest.proof == "skipped"


def test_entries_notes_and_files_are_in_the_manifest(target: Path) -> None:
    report = pack(
        path=target,
        entries={"oak": {"rings": 3}, "elm": [1]},
        metadata={"place": "yard"},
        resources={"labels.txt": "oak"},
        prove=False,
    )
    assert [entry.name for entry in report.manifest.entries][:2] == ["oak", "elm"]
    assert report.manifest.metadata == {"place": "yard"}
    assert "labels.txt" in report.manifest.records


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"obj": [1], "inputs": (1,)}, TypeError),
        ({"obj": (letter for letter in "oak")}, PackError),
        ({"obj": [1], "resources": {"model/model.pkl": b""}}, PackError),
    ],
)
def test_what_fails_leaves_the_target_as_it_was(
    target: Path, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        pack(path=target, prove=False, **arguments)
    assert _left(target) == {"oak.case": b"yesterday"}


def test_a_warning_is_told_for_the_line_that_packs_and_as_an_error_publishes_nothing(target: Path) -> None:
    with pytest.raises(WardianWarning):  # warnings are errors in tests
        pack(torch.nn.Linear, target, prove=False)
    assert _left(target) == {"oak.case": b"yesterday"}
    with pytest.warns(WardianWarning, match="not an instance") as caught:
        report = pack(torch.nn.Linear, target, prove=False)
    assert [warning.filename for warning in caught] == [__file__]
    assert report.warnings == tuple(str(warning.message) for warning in caught)
    assert target.read_bytes() != b"yesterday"
