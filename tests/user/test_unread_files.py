"""Data files that only a method reads which the inputs did not reach: they travel, or are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, run_python, write_tree

TREE = """
--- dictionary.py
from pathlib import Path
from torch import nn
HERE = Path(__file__).parent
class Dictionary(nn.Module):
    def forward(self, x):
        return x + len((HERE / "used.txt").read_text())
    def translate(self):
        return (HERE / "words" / "french.txt").read_text()
    def explain(self):
        return open("manual.txt").read()
    def log(self):
        with open("is_not_there.txt", "w") as file:
            file.write(".env" + "dictionary.case")
--- used.txt
a b
--- words/french.txt
un deux
--- words/unnamed.txt
x
--- .env
SECRET=1
--- library/__init__.py
--- library/net.py
from pathlib import Path
from torch import nn
class Net(nn.Module):
    def forward(self, x):
        return x
    def words(self):
        return (Path(__file__).parent / "data" / "small.txt").read_text()
    def table(self):
        return (Path(__file__).parent / "data" / "large.bin").read_bytes()
--- library/data/small.txt
a b
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = write_tree(tmp_path / "sources", TREE)
    (folder / "library/data/large.bin").write_bytes(bytes(2 << 20))
    return folder


def test_a_file_beside_a_module_that_its_code_names_is_told(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Path("manual.txt").write_text("read me")
    Path("dictionary.case").write_text("of yesterday")
    with importable(sources) as load:
        model = load("dictionary").Dictionary()
        report = wardian.pack(model, tmp_path / "dictionary.case", inputs=(torch.ones(1),))
        plan = wardian.plan(model, inputs=(torch.ones(1),))
    told = [line for line in report.left_out if ".txt" in line]
    assert told == [
        f"{path}, which dictionary names in line {line}: nothing has read it in the run"
        for path, line in ((sources / "words/french.txt", 8), (work / "manual.txt", 10))
    ]
    assert "french.txt" in str(report)
    assert "french.txt" in str(plan)
    assert any("french.txt" in line for line in plan.to_plain()["left_out"])
    assert [line for line in report.left_out if ".env" in line or ".case" in line] == []
    with wardian.open(tmp_path / "dictionary.case") as case:
        assert "used.txt" in case.manifest.records


def test_a_small_file_of_a_package_travels_and_a_large_one_is_told(sources: Path, tmp_path: Path) -> None:
    with importable(sources) as load:
        report = wardian.pack(load("library.net").Net(), tmp_path / "net.case", inputs=(torch.ones(1),))
    [told] = report.left_out
    assert told.startswith(f"{sources / 'library/data/large.bin'}, which library.net names in line 9: ")
    printed = run_python(
        """
        import sys, wardian
        print(wardian.load(sys.argv[1]).words().strip())
        """,
        tmp_path / "net.case",
        folder=tmp_path,
    )
    assert printed == "a b\n"


def test_what_was_read_is_not_told(sources: Path, tmp_path: Path) -> None:
    with importable(sources) as load:
        call = load("dictionary").Dictionary().translate
        report = wardian.pack(call, tmp_path / "call.case", inputs=())
    assert [line for line in report.left_out if "french" in line] == []


def test_a_file_beside_a_script_is_told(tmp_path: Path) -> None:
    script = write_tree(
        tmp_path, "--- train.py\n" + TREE.partition("--- dictionary.py\n")[2].partition("---")[0]
    )
    (script / "used.txt").write_text("a b")
    (script / "words").mkdir()
    (script / "words/french.txt").write_text("un")
    printed = run_python(
        """
        import runpy, sys, torch, wardian
        made = runpy.run_path(sys.argv[1] + "/train.py", run_name="__main__")
        report = wardian.plan(made["Dictionary"]())
        print(report)
        """,
        script,
        folder=tmp_path,
        isolated=True,
    )
    assert "french.txt" in printed
