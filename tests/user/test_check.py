"""The self-test of a case: what it tells where it fails, and why a case that cannot pass it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, write_tree
from wardian.archive import ArchiveReader
from wardian.cli.app import run
from wardian.domain.names import RecordName
from wardian.errors import CheckError, CorruptCaseError, ProofError

PROJECT = """
--- weather/__init__.py
--- weather/model.py
import os
import uuid
import torch

class Vane(torch.nn.Module):
    def forward(self, x):
        factor = float(os.environ.get("WEATHER_FACTOR", "1"))
        return {"speed": x * factor, "gusts": [x[i] * factor for i in range(len(x))], "mean": x.mean().item()}

class Names(torch.nn.Module):
    def forward(self, x):
        return "-".join({"north", "east", "south", "west", "zenith", "nadir", "here", "there"})

class Ticket(torch.nn.Module):
    def forward(self, x):
        return uuid.uuid4().hex
"""


def test_a_self_test_that_fails_says_where_and_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as import_module:
        model = import_module("weather.model").Vane()
        wardian.pack(model, tmp_path / "vane.case", inputs=(torch.ones(30),))
    places: list[str] = []

    def locate(storage: torch.UntypedStorage, place: str) -> torch.UntypedStorage:
        places.append(place)
        return storage

    with wardian.open(tmp_path / "vane.case") as case:
        report = case.check(map_location=locate)
        assert report.exact
        assert report.largest is None
        assert set(places) == {"cpu"}
        monkeypatch.setenv("WEATHER_FACTOR", "1.00001")
        report = case.check()
        assert not report.exact
        assert report.largest == pytest.approx(1e-5, rel=0.1)
        assert str(report).splitlines()[1].endswith("its largest value is 1 (tolerated)")
        assert str(report).endswith("and 11 more")
        with pytest.raises(CheckError, match=r"(?m)and 26 more$"):
            case.check(exact=True)
        monkeypatch.setenv("WEATHER_FACTOR", "2")
        with pytest.raises(
            CheckError, match=r"'model' failed: output\['speed'\] differs by up to 1"
        ) as caught:
            case.check()
        assert caught.value.difference == 1.0


@pytest.mark.parametrize(
    ("name", "told"), [("Names", "PYTHONHASHSEED is not set"), ("Ticket", "fix: draw from torch.rand")]
)
def test_an_output_that_is_another_one_in_each_run(tmp_path: Path, name: str, told: str) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as import_module:
        model = getattr(import_module("weather.model"), name)()
        with pytest.raises(ProofError) as caught:
            wardian.pack(model, tmp_path / "vane.case", inputs=(torch.ones(3),))
    assert told in str(caught.value)
    head = str(caught.value).partition("\n")[0]
    assert head.startswith("the finished case does not work in a clean process: CheckError: the self-test of")
    assert str(tmp_path) not in head


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_damaged_source_is_found_though_its_bytecode_runs(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as import_module:
        model = import_module("weather.model").Vane()
        wardian.pack(model, tmp_path / "vane.case", inputs=(torch.ones(3),), prove=False)
    content = bytearray((tmp_path / "vane.case").read_bytes())
    with ArchiveReader.open(tmp_path / "vane.case") as archive:
        content[archive._records[RecordName("weather/model.py")].offset + 8] ^= 1
    (tmp_path / "damaged.case").write_bytes(content)
    more = {"check": [], "run": ["--inputs", "(torch.ones(3),)"]}[command]
    for name, codes in (("vane", (0,)), ("damaged", (1, 2))):
        assert run([command, str(tmp_path / f"{name}.case"), *more]) in codes
    assert "weather/model.py" in capsys.readouterr().err
    with wardian.open(tmp_path / "vane.case") as whole:
        assert whole.check().exact
        with wardian.open(tmp_path / "damaged.case") as damaged, pytest.raises(CorruptCaseError) as caught:
            damaged.check()
    assert caught.value.record == "weather/model.py"
