"""The command `wardian`: what it prints, its JSON, its exit codes, and that looking runs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.package.package_exporter import PackageExporter

import wardian
from tests.support import SOURCE, importable, run_python, write_case, write_tree
from wardian.cli.app import run
from wardian.manifest import Extern

SOURCES = """
--- cherry/__init__.py
--- cherry/net.py
import json
from cherry import stone
print("packed code ran")

--- cherry/stone.py
import numpy
COLOUR = "red"

--- cherry/notes.txt
sweet
"""


@pytest.fixture
def wardian_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; return its exit code, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def case(tmp_path: Path) -> Path:
    # The pickle of cherry.net.COLOUR, which names the module and holds nothing.
    pickle = b"\x80\x04\x8c\x0acherry.net\x8c\x05stone\x93."
    return write_case(tmp_path / "cherry.case", SOURCES, pickle=pickle)


@pytest.fixture
def lacking(tmp_path: Path) -> Path:
    """A case that needs what no environment has."""
    extern = Extern(distribution="unobtainium", version="3.1", modules=("unobtainium",), names=(), soft=False)
    return write_case(tmp_path / "lacking.case", SOURCES, externs=(extern,))


def test_info_tells_what_it_is_on_a_page_of_eighty_columns(case: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("info", case)
    assert code == 0
    for words in (
        "cherry.case: a case",
        "digest",
        "fits here   yes",
        "not proven",
    ):
        assert words in out
    assert max(map(len, out.replace(str(case), "cherry.case").splitlines())) <= 80


def test_info_as_json_has_the_documented_keys(case: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("info", case, "--json")
    found = json.loads(out)
    keys = (
        "path size digest kind entries tensors parameters distributions externs python torch platform proof"
    )
    assert code == 0
    assert {*keys.split(), "fits_here"} <= found.keys()
    assert found["kind"] == "case"
    assert found["size"] == case.stat().st_size
    with wardian.open(case) as opened:
        assert found["digest"] == opened.digest


def test_info_shows_what_does_not_fit_here_and_answers_no(lacking: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("info", lacking)
    assert code == 1
    assert "here: missing" in out
    assert "fix: pip install unobtainium==3.1" in out
    assert json.loads(wardian_command("info", lacking, "--json")[1])["fits_here"] is False


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("info", "nowhere.case"), id="no such file"),
        pytest.param(("info",), id="no argument"),
        pytest.param(("paint", "it"), id="no such command"),
        pytest.param(("cat", "CASE", "cherry/nat.py"), id="no such record"),
        pytest.param(("check", "CASE"), id="no self-test"),
        pytest.param(("pack", "nomodule:thing", "-o", "out.case"), id="no such module"),
        pytest.param(("pack", "json", "-o", "out.case"), id="no name"),
        pytest.param(("weights", "CASE", "-o", "out.safetensors"), id="no tensor"),
        pytest.param(("verify", "CASE", "--digest", "xyz"), id="no digest"),
    ],
)
def test_what_cannot_be_answered_ends_with_2_and_one_block_on_stderr(
    words: tuple[str, ...], case: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = wardian_command(*(case if word == "CASE" else word for word in words))
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


def test_another_kind_of_file_is_named(tmp_path: Path, wardian_command: Any) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pt")
    code, _, err = wardian_command("info", tmp_path / "weights.pt")
    assert code == 2
    assert "torch.load" in err


def test_ls_shows_records_as_a_tree_and_as_json(case: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("ls", case)
    lines = out.splitlines()
    assert code == 0
    assert [line for line in lines if line.endswith(" cherry/")] != []
    assert any(line.endswith("  net.py") for line in lines)
    listed = json.loads(wardian_command("ls", case, "cherry/*.txt", "--json")[1])
    assert listed == [{"name": "cherry/notes.txt", "size": 6}]


def test_ls_shows_tensors_and_what_shares_their_values(tmp_path: Path, wardian_command: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    wardian.pack(model, tmp_path / "tied.case", prove=False)
    _, out, _ = wardian_command("ls", tmp_path / "tied.case", "--tensors", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["0.weight"]["shape"] == [2, 2]
    assert rows["0.weight"]["bytes"] == 16
    assert rows["0.weight"]["shared_with"] == ["1.weight"]
    _, out, _ = wardian_command("ls", tmp_path / "tied.case", "--tensors", "1.*")
    assert "shared with 0.weight" in out
    assert "0.bias" not in out


def test_cat_writes_the_bytes_of_a_record(case: Path, wardian_command: Any) -> None:
    assert wardian_command("cat", case, "cherry/notes.txt") == (0, "sweet\n", "")
    assert "near to it: cherry/net.py" in wardian_command("cat", case, "cherry/nat.py")[2]


def test_why_tells_the_chain_of_imports(case: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("why", case, "cherry.stone")
    assert code == 0
    assert "inside, part of first-party" in out
    assert "the pickle of model names cherry.net.stone" in out
    assert "cherry/net.py:2: cherry.net imports cherry.stone" in out
    assert wardian_command("why", case, "json")[0] == 0
    code, out, _ = wardian_command("why", case, "pandas")
    assert code == 1
    assert "nothing to do with it" in out


def test_diff_shows_code_and_numbers_and_answers_whether_all_is_equal(
    tmp_path: Path, wardian_command: Any
) -> None:
    pages = {"one": "SIZE = 1\n", "two": "SIZE = 2\n"}
    for name, text in pages.items():
        folder = write_tree(
            tmp_path / name, f"--- plum.py\nimport torch\n{text}\nclass Plum(torch.nn.Linear): pass"
        )
        with importable(folder) as load:
            torch.manual_seed(0)
            plum = load("plum").Plum(2, 2)
            if name == "two":
                with torch.no_grad():
                    plum.weight[0, 0] += 0.5
            wardian.pack(plum, tmp_path / f"{name}.case", prove=False)
    one, two = tmp_path / "one.case", tmp_path / "two.case"
    code, out, _ = wardian_command("diff", one, two)
    assert code == 1
    assert "-SIZE = 1" in out
    assert "+SIZE = 2" in out
    assert "tensor weight: differs by up to 0.5, 0.125 on average" in out
    assert "bias" not in out
    found = json.loads(wardian_command("diff", one, two, "--json")[1])
    assert [change["how"] for change in found["tensors"]] == ["changed"]
    assert wardian_command("diff", one, one)[:2] == (0, "no difference\n")


def test_verify_answers_no_for_a_flipped_bit_and_for_another_digest(case: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("verify", case)
    digest = out.split()[-1]
    assert code == 0
    assert wardian_command("verify", case, "--digest", digest[:16])[0] == 0
    code, out, _ = wardian_command("verify", case, "--digest", "0" * 16)
    assert code == 1
    assert digest in out
    content = bytearray(case.read_bytes())
    content[content.index(b"cherry/net.py") + 40] ^= 1
    case.write_bytes(content)
    code, out, err = wardian_command("verify", case)
    assert code == 1
    assert "cherry/net.py" in out
    assert err == ""


def test_requirements_are_ranges_or_pins(lacking: Path, wardian_command: Any) -> None:
    assert wardian_command("requirements", lacking)[1] == "unobtainium>=3.1,<4\n"
    assert wardian_command("requirements", lacking, "--exact")[1] == "unobtainium==3.1\n"
    assert json.loads(wardian_command("requirements", lacking, "--json")[1]) == ["unobtainium>=3.1,<4"]


def test_extract_writes_what_matches_and_never_over_a_file(
    case: Path, tmp_path: Path, wardian_command: Any
) -> None:
    assert wardian_command("extract", case, "cherry/*", "-C", tmp_path / "out")[0] == 0
    assert (tmp_path / "out/cherry/notes.txt").read_text() == "sweet\n"
    assert not (tmp_path / "out/model").exists()
    code, _, err = wardian_command("extract", case, "cherry/*", "-C", tmp_path / "out")
    assert code == 2
    assert "exists" in err


def test_pack_plan_check_run_and_weights_work_together(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path, "--- pear.py\nimport torch\ndef build():\n    return torch.nn.Linear(2, 1)\n")
    monkeypatch.chdir(tmp_path)
    with importable():
        monkeypatch.setattr(sys, "path", list(sys.path))
        code, out, _ = wardian_command("plan", "pear.py:build")
        assert code == 0
        assert "plan for 'model'" in out
        code, out, _ = wardian_command(
            "pack", "pear:build", "-o", "pear.case", "--inputs", "(torch.ones(2),)"
        )
    assert code == 0
    assert Path("pear.case").exists()
    code, out, err = wardian_command("check", "pear.case")
    assert (code, out) == (0, "model: the same, bit for bit\n")
    assert "running the code in pear.case" in err
    assert wardian_command("run", "pear.case", "--inputs", "(torch.ones(2),)", "-o", "out.pt")[0] == 0
    assert torch.load("out.pt").shape == (1,)
    torch.save((torch.ones(2),), "in.pt")
    assert "tensor(" in wardian_command("run", "pear.case", "--inputs", "in.pt")[1]
    assert wardian_command("weights", "pear.case", "-o", "w.safetensors", "--only", "b*")[0] == 0
    assert list(wardian.read_safetensors("w.safetensors")) == ["bias"]


def test_cache_shows_what_is_there_and_clears_it(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_CACHE", str(tmp_path / "cache"))
    kept = tmp_path / "cache/cases/old"
    kept.mkdir(parents=True, mode=0o700)
    (kept / "notes.txt").write_text("x" * 500)
    code, out, _ = wardian_command("cache")
    assert code == 0
    assert out.splitlines()[0] == str(tmp_path / "cache")
    assert "500 bytes  cases" in out
    assert "500 bytes removed" in wardian_command("cache", "--clear")[1]
    assert not kept.exists()


def test_looking_runs_no_packed_code_and_imports_no_torch(case: Path) -> None:
    script = """
        import sys
        from wardian.cli.app import run
        for words in (["info"], ["ls"], ["ls", "--tensors"], ["why", "numpy"], ["verify"], ["requirements"]):
            code = run([words[0], sys.argv[1], *words[1:]])
        assert run(["diff", sys.argv[1], sys.argv[1]]) == 0
        assert run(["cat", sys.argv[1], "cherry/notes.txt"]) == 0
        heavy = {"torch", "numpy", "cherry", "rich"} & sys.modules.keys()
        assert not heavy, heavy
    """
    assert "packed code ran" not in run_python(script, case, folder=case.parent)


def test_an_archive_of_torch_package_is_looked_at_and_what_it_cannot_promise_is_said(
    tmp_path: Path, wardian_command: Any
) -> None:
    with PackageExporter(tmp_path / "old.pt") as exporter:
        exporter.save_source_string("olive", "PIT = 1\n")
        exporter.save_pickle("model", "model.pkl", {"a": 1})
    code, out, _ = wardian_command("info", tmp_path / "old.pt")
    assert code == 0
    assert "an archive of torch.package" in out
    assert "no digests" in out
    assert "PIT = 1" in wardian_command("cat", tmp_path / "old.pt", "olive.py")[1]


def test_the_module_and_a_pipe_without_colour(case: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wardian", "diff", case, case],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "no difference\n", "")


def test_without_click_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('no click', name='click')\n")
    done = subprocess.run(
        [sys.executable, "-m", "wardian", "info", "x"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "wardian: click is not installed\n  fix: pip install 'wardian[cli]'\n"
