"""The command `wardian`: what it prints, its JSON, its exit codes, and that looking runs nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.package.package_exporter import PackageExporter

import wardian
from tests.support import SOURCE, importable, run_python, write_case, write_tree
from tests.terminals import in_terminal
from wardian.archive import ArchiveReader
from wardian.cli.app import run
from wardian.domain.manifest import Entry, Extern, Library
from wardian.domain.names import RecordName
from wardian.errors import EntryNotFoundError

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


def test_info_ends_with_one_line_that_installs_all(tmp_path: Path, wardian_command: Any) -> None:
    externs = tuple(
        Extern(distribution=name, version="3.1", modules=(name,), names=(), soft=False)
        for name in ("unobtainium", "vibranium")
    )
    path = write_case(tmp_path / "lacking.case", SOURCES, externs=externs)
    _, out, _ = wardian_command("info", path)
    joint = "fix: pip install unobtainium==3.1 vibranium==3.1"
    assert out.endswith(f"    all at once:\n      {joint}\n")


def test_info_tells_compiled_libraries_inside_and_outside(tmp_path: Path, wardian_command: Any) -> None:
    files: dict[str, str | bytes] = {
        "grove/__init__.py": "",
        "grove/_ops.so": b"\x7fELF operators",
        "grove/weights.bin": b"\x7fELF of another name",
        "grove/words.txt": b"words",
    }
    library = Library(
        record="grove/_ops.so",
        operators=("grove::sum(Tensor x) -> Tensor",),
        torch="2",
        system="",
        machine="",
    )
    externs = tuple(
        Extern(distribution=name, version=None, modules=(name,), names=(), soft=False)
        for name in ("numpy", "click", "unobtainium")
    )
    path = write_case(tmp_path / "grove.case", files, libraries=(library,), externs=externs)
    _, out, _ = wardian_command("info", path)
    told = "grove/_ops.so (inside, operators), grove/weights.bin (inside), numpy (outside)"
    assert f"  native      {told}\n" in out
    found = json.loads(wardian_command("info", path, "--json")[1])
    assert found["libraries"] == [
        {"record": "grove/_ops.so", "operators": ["grove::sum(Tensor x) -> Tensor"]},
        {"record": "grove/weights.bin", "operators": []},
    ]
    natives = {extern["name"]: extern["native"] for extern in found["externs"]}
    assert natives == {"numpy": True, "click": False, "unobtainium": None}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("info", "nowhere.case"), id="no such file"),
        pytest.param(("info",), id="no argument"),
        pytest.param(("paint", "it"), id="no such command"),
        pytest.param(("check", "CASE"), id="no self-test"),
        pytest.param(("pack", "nomodule:thing", "-o", "out.case"), id="no such module"),
        pytest.param(("pack", "json", "-o", "out.case"), id="no name"),
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


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param("ls CASE cherry/nat.py", "near to it: cherry/net.py", id="ls"),
        pytest.param("ls CASE plum/*", "list them: wardian ls CASE", id="ls, nothing near"),
        pytest.param("ls LAYERS --tensors 0.wieght", "near to it: 0.weight", id="ls --tensors"),
        pytest.param("cat CASE cherry/nat.py", "near to it: cherry/net.py", id="cat"),
        pytest.param("extract CASE -C out cherry/nat.*", "near to it: cherry/net.py", id="extract"),
        pytest.param("weights LAYERS -o out --only 0.wieght", "near to it: 0.weight", id="weights"),
        pytest.param("weights OLD -o out --only 0.wieght", "near to it: 0.weight", id="foreign"),
        pytest.param("weights CASE -o out", "has no tensors", id="no tensors"),
        pytest.param("why CASE chery.net", "near to it: cherry.net", id="why"),
    ],
)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_what_a_file_does_not_have_is_answered_with_no_and_the_nearest(
    words: str, hint: str, case: Path, tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case.rename("CASE")
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2))
    wardian.pack(layers, "LAYERS", prove=False)
    with PackageExporter("OLD") as exporter:
        exporter.extern("torch.**")
        exporter.save_pickle("model", "model.pkl", layers)
    code, out, err = wardian_command(*words.split())
    assert code == 1
    assert hint in (out if words.startswith("why") else err)
    assert not (tmp_path / "out").exists()


def test_json_is_whole_also_where_nothing_matches(case: Path, wardian_command: Any) -> None:
    code, out, err = wardian_command("ls", case, "plum", "--json")
    assert (code, json.loads(out)) == (1, [])
    assert "has no record plum" in err


def test_another_kind_of_file_is_named(tmp_path: Path, wardian_command: Any) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pt")
    code, _, err = wardian_command("info", tmp_path / "weights.pt")
    assert code == 2
    assert "torch.load" in err


def test_ls_shows_records_as_a_tree_as_names_and_as_json(case: Path, wardian_command: Any) -> None:
    code, out, _ = wardian_command("ls", case, "cherry/*")
    assert (code, out) == (0, "cherry/__init__.py\ncherry/net.py\ncherry/notes.txt\ncherry/stone.py\n")
    code, out = in_terminal("ls", case, folder=case.parent)
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


def test_ls_names_few_of_very_many_tensors_that_share_a_record(tmp_path: Path, wardian_command: Any) -> None:
    flat = torch.zeros(100)
    wardian.pack({f"w{i}": flat[i : i + 1] for i in range(100)}, tmp_path / "flat.case", prove=False)
    _, out, _ = wardian_command("ls", tmp_path / "flat.case", "--tensors", "--json")
    rows = json.loads(out)
    assert {len(row["shared_with"]) for row in rows} == {16}
    assert {row["shares"] for row in rows} == {99}
    assert "and 83 more" in wardian_command("ls", tmp_path / "flat.case", "--tensors", "w7")[1]


def test_cat_writes_the_bytes_of_a_record(case: Path, wardian_command: Any) -> None:
    assert wardian_command("cat", case, "cherry/notes.txt") == (0, "sweet\n", "")
    assert "near to it: cherry/net.py" in wardian_command("cat", case, "cherry/nat.py")[2]


FIG = """
--- fig/__init__.py
--- fig/tree.py
import importlib
class Tree:
    def __call__(self):
        return importlib.import_module(".".join(["fig", "seed"])).grow()
--- fig/seed.py
def grow():
    return 1
"""


def test_why_knows_what_no_source_shows(tmp_path: Path, wardian_command: Any) -> None:
    write_tree(tmp_path / "src", FIG)
    with importable(tmp_path / "src") as load:
        wardian.pack(load("fig.tree").Tree(), tmp_path / "fig.case", inputs=())
    code, out, _ = wardian_command("why", tmp_path / "fig.case", "fig.seed")
    assert code == 0
    assert "-> fig/tree.py: fig.tree imports fig.seed (observed)" in out


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


def test_diff_does_not_compare_what_takes_too_long(tmp_path: Path, wardian_command: Any) -> None:
    for name in ("a", "b"):
        lines = "".join(f"{name}{i % 300}\n" for i in range(20_000))
        write_case(tmp_path / f"{name}.case", {"plum/long.txt": lines, "plum/short.txt": f"{name}\n"})
    code, out, _ = wardian_command("diff", tmp_path / "a.case", tmp_path / "b.case")
    assert code == 1
    assert "plum/long.txt: too much differs to be shown" in out
    assert "+b\n" in out


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
    assert wardian_command("diff", one, one)[:2] == (0, SAME)


def test_diff_tells_that_a_self_test_has_other_outputs(tmp_path: Path, wardian_command: Any) -> None:
    for name, scale in (("one", 1.0), ("more", 1.0), ("two", 2.0)):
        model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(scale)
        if name == "more":  # which gives storages other numbers
            model.register_buffer("seen", torch.zeros(3))
        wardian.pack(model, tmp_path / name, inputs=(torch.ones(1, 2),))
    _, out, _ = wardian_command("diff", tmp_path / "one", tmp_path / "two")
    assert "self-test model: with outputs became with other inputs or outputs\n" in out
    _, out, _ = wardian_command("diff", tmp_path / "one", tmp_path / "more")
    assert "tensor seen: added, float32[3]\n" in out
    assert "self-test" not in out


SAME = "no difference in what the files declare; wardian verify checks their bytes\n"


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


def test_a_lock_file_needs_a_folder_of_files(lacking: Path, tmp_path: Path, wardian_command: Any) -> None:
    code, _, err = wardian_command("requirements", lacking, "--pylock")
    assert code == 2
    assert "pip download" in err
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    code, out, err = wardian_command("requirements", lacking, "--pylock", "--wheels", downloads)
    assert (code, out) == (1, "")
    assert "unobtainium>=3.1,<4" in err
    (downloads / "unobtainium-3.5-py3-none-any.whl").write_text("")
    code, out, _ = wardian_command("requirements", lacking, "--pylock", "--wheels", downloads)
    assert code == 0
    assert tomllib.loads(out)["packages"][0]["version"] == "3.5"


def test_a_broken_policy_answers_no_and_names_each_rule(
    case: Path, tmp_path: Path, wardian_command: Any
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[audit.distributions]\ndeny = ["first-party"]\n')
    code, out, _ = wardian_command("audit", case, "--policy", policy)
    assert code == 1
    assert out.startswith('policy: broken\n    distributions.deny = "first-party"\n        first-party\n')
    assert "        fix: if you want it: take it out of deny\n" in out
    found = json.loads(wardian_command("audit", case, "--policy", policy, "--json")[1])["policy"]
    assert found == {
        "path": str(policy),
        "broken": [
            {
                "rule": 'distributions.deny = "first-party"',
                "what": "first-party",
                "fix": "if you want it: take it out of deny",
            }
        ],
    }
    policy.write_text("[audit]\ntorch_package = true\n")
    assert "policy: kept" in wardian_command("audit", case, "--policy", policy)[1]
    policy.write_text("[audit]\nnetwork = false\n")
    code, _, err = wardian_command("audit", case, "--policy", policy)
    assert code == 2
    assert "audit.network is no rule" in err


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


def test_pack_names_the_nearest_of_a_module(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path, "--- hazel.py\ndef build(): pass\n")
    monkeypatch.chdir(tmp_path)
    with importable(tmp_path):
        code, _, err = wardian_command("plan", "hazel.py:bild")
    assert code == 2
    assert "hazel.py has no bild; near to it: build" in err


def test_pack_makes_a_case_of_several_entry_points(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(
        tmp_path,
        "--- plum.py\nimport torch\ndef build():\n    return torch.nn.Linear(2, 1)\nwords = {'a': 1}\n",
    )
    monkeypatch.chdir(tmp_path)
    entries = ("--entry", "net=plum.py:build", "--entry", "words=plum:words")
    with importable():
        monkeypatch.setattr(sys, "path", list(sys.path))
        code, out, _ = wardian_command("plan", *entries)
        assert code == 0
        code, out, _ = wardian_command(
            "pack", "-o", "plum.case", *entries, "--inputs", "net=(torch.ones(2),)"
        )
        assert code == 0
        assert "net: loaded and called" in out
        for wrong in (
            (),
            ("plum:build", *entries),
            (*entries, "--inputs", "(1,)"),
            (*entries, "--inputs", "x=1"),
        ):
            code, _, err = wardian_command("plan", *wrong)
            assert code == 2
            assert "--entry" in err
    assert wardian.load("plum.case", name="words") == {"a": 1}
    assert wardian_command("check", "plum.case", "--entry", "net")[0] == 0


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
    monkeypatch.setenv("WARDIAN_CACHE_MAX_DAYS", "7")
    last = wardian_command("cache")[1].splitlines()[-1]
    assert last.startswith("  keeps at most 16 GiB, nothing that was not used for 7 days (WARDIAN_CACHE_MAX")
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
    assert "packed code ran" not in run_python(script, case, folder=case.parent, isolated=True)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_an_archive_of_torch_package_is_looked_at_and_what_it_cannot_promise_is_said(
    tmp_path: Path, wardian_command: Any
) -> None:
    with PackageExporter(tmp_path / "old.pt") as exporter:
        exporter.extern("torch.**")
        exporter.save_source_string("olive", "PIT = 1\n")
        exporter.save_pickle("model", "model.pkl", {"a": torch.ones(2)})
    code, out, _ = wardian_command("info", tmp_path / "old.pt")
    assert code == 0
    assert "an archive of torch.package" in out
    assert "no digests" in out
    assert (
        "  weights     8 bytes in 1 storage, without an index; wardian weights writes what the modules" in out
    )
    assert re.search(r"made with   Python [\d.]+\n", out)
    assert wardian_command("report", tmp_path / "old.pt", "-o", tmp_path / "old.html")[0] == 0
    page = (tmp_path / "old.html").read_text()
    assert "8 bytes of tensors without an index of their names" in page
    assert "no self-test: archives of torch.package have none" in page
    assert "packed without inputs" not in page
    assert "PIT = 1" in wardian_command("cat", tmp_path / "old.pt", "olive.py")[1]
    code, out, _ = wardian_command("verify", tmp_path / "old.pt")
    assert code == 0
    assert "  digest of the contents, computed here, " in out
    assert "has no digests" in wardian_command("audit", tmp_path / "old.pt")[2]


def test_a_function_is_called_by_its_name_and_data_files_are_listed(
    tmp_path: Path, wardian_command: Any
) -> None:
    folder = write_tree(
        tmp_path / "src",
        """
        --- damson/__init__.py
        --- damson/jam.py
        import importlib.resources
        WORDS = importlib.resources.files("damson").joinpath("words.txt").read_text()
        def stew(x):
            return x
        --- damson/words.txt
        sweet
        """,
    )
    path, page = tmp_path / "jam.case", tmp_path / "jam.html"
    with importable(folder) as load:
        wardian.pack(load("damson.jam").stew, path, prove=False)
    assert "object      model: damson.jam.stew\n" in wardian_command("info", path)[1]
    entry = json.loads(wardian_command("info", path, "--json")[1])["entries"][0]
    assert (entry["type"], entry["function"]) == ("types.FunctionType", "damson.jam.stew")
    assert wardian_command("report", path, "-o", page)[0] == 0
    text = page.read_text()
    assert "The file holds stew, and no weights." in text
    assert re.search(r"<code>damson/words.txt</code> \d bytes", text)


def test_that_nobody_signed_is_a_whole_document(case: Path, tmp_path: Path, wardian_command: Any) -> None:
    with PackageExporter(tmp_path / "old.pt") as exporter:
        exporter.save_source_string("olive", "PIT = 1\n")
    signers = tmp_path / "signers"
    signers.write_text("")
    for path in (case, tmp_path / "old.pt"):
        code, out, err = wardian_command("verify", path, "--signers", signers, "--json")
        assert (code, err) == (1, "")
        found = json.loads(out)
        assert (found["signed"], found["damaged"], found["signatures"]) == (False, [], [])
        assert found["signature_problems"] != []
        assert (
            json.loads(wardian_command("info", path, "--signers", signers, "--json")[1])["signatures"] == []
        )


def test_a_name_with_two_lines_is_shown_in_one(tmp_path: Path, wardian_command: Any) -> None:
    spoof = "model\n  fits here   yes"
    entry = Entry(name=spoof, record="model/model.pkl", type=spoof, test=None, outputs=False)
    extern = Extern(distribution="unobtainium", version="3.1", modules=("unobtainium",), names=(), soft=False)
    path = write_case(tmp_path / "lines.case", SOURCES, entries=(entry,), externs=(extern,), torch=spoof)
    for words in (("info", path), ("why", path, "cherry.net"), ("diff", path, path)):
        assert "  fits here   yes" not in wardian_command(*words)[1].splitlines()


def test_the_module_and_a_pipe_without_colour(case: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wardian", "diff", case, case],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, SAME, "")


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


@pytest.mark.parametrize("words", ["report", "sbom", "weights", "run --inputs ()"])
def test_an_output_never_takes_the_place_of_what_is_read(
    case: Path, words: str, wardian_command: Any
) -> None:
    before = case.read_bytes()
    command, *options = words.split()
    link = case.with_name("link.html")
    link.symlink_to(case)
    for output in (case, link):
        code, _, err = wardian_command(command, case, *options, "-o", output)
        assert code == 2
        assert "would be gone" in err
    assert case.read_bytes() == before
    code, _, err = wardian_command(command, case, *options, "-o", case.parent / "nowhere" / "out")
    assert code == 2
    assert "there is no folder" in err


@pytest.mark.parametrize("words", ["report", "sbom", "weights", "run --inputs ()"])
def test_an_output_that_cannot_be_written_is_named_as_it_was_given(
    case: Path, words: str, wardian_command: Any, tmp_path: Path
) -> None:
    command, *options = words.split()
    code, _, err = wardian_command(command, case, *options, "-o", tmp_path)
    assert code == 2
    assert f"{tmp_path} is a folder; name a file in it" in err
    if command != "weights":  # of these files it has none
        code, _, err = wardian_command(command, case, *options, "-o", "/proc/nowhere")
        assert code == 2
        assert ".tmp" not in err
        assert "atomic" not in err


def test_packing_never_takes_the_place_of_the_script(tmp_path: Path, wardian_command: Any) -> None:
    script = tmp_path / "train.py"
    script.write_text("build = dict\n")
    code, _, err = wardian_command("pack", f"{script}:build", "-o", script)
    assert code == 2
    assert "would be gone" in err
    assert script.read_text() == "build = dict\n"


def test_a_check_of_an_entry_point_that_is_not_there_has_no_answer(case: Path, wardian_command: Any) -> None:
    code, _, err = wardian_command("check", case, "--entry", "decoder")
    assert code == 2
    assert "no entry point 'decoder'" in err
    assert "running the code" not in err


GAUGE = """
--- gauge.py
import os
import signal
import torch

class Gauge(torch.nn.Module):
    def forward(self, x):
        print("packed code ran")
        if os.environ.get("GAUGE") == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"level": x * float(os.environ.get("GAUGE", "1"))}
"""


@pytest.fixture
def gauge(tmp_path: Path) -> Path:
    with importable(write_tree(tmp_path / "src", GAUGE)) as load:
        path = tmp_path / "gauge.case"
        model = load("gauge").Gauge()
        entries = {"gauge": model, "unit": {"name": "mm"}}
        wardian.pack(path=path, entries=entries, inputs={"gauge": (torch.ones(2),)})
    return path


@pytest.mark.parametrize(
    ("factor", "exact", "code", "outcome", "largest"),
    [
        pytest.param("1", False, 0, "the same, bit for bit", None, id="the same"),
        pytest.param("1.00001", False, 0, "differs", pytest.approx(1e-5, rel=0.1), id="tolerated"),
        pytest.param("1.00001", True, 1, "differs", pytest.approx(1e-5, rel=0.1), id="not the same bits"),
        pytest.param("3", False, 1, "differs", 2.0, id="differs"),
    ],
)
def test_check_tells_the_outcome_as_data(
    factor: str,
    exact: bool,
    code: int,
    outcome: str,
    largest: Any,
    gauge: Path,
    wardian_command: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GAUGE", factor)
    found_code, out, err = wardian_command("check", gauge, "--json", *["--exact"] * exact)
    found = json.loads(out)
    assert found_code == code
    assert found["path"] == str(gauge)
    assert found["passed"] is (code == 0)
    assert "packed code ran" in found["printed"]
    assert "running the code in" in err
    results = {result["name"]: result for result in found["entries"]}
    assert results["gauge"]["outcome"] == outcome
    assert results["gauge"]["largest"] == largest
    assert results["unit"]["outcome"] == "no self-test"
    assert (found["problem"] is None) is (code == 0)
    for difference in results["gauge"]["differences"]:
        assert difference["where"] == "output['level']"


def test_check_prints_the_report_alone_on_standard_output(gauge: Path, wardian_command: Any) -> None:
    code, out, err = wardian_command("check", gauge, "--entry", "gauge")
    assert (code, out) == (0, "gauge: the same, bit for bit\n")
    assert "packed code ran" in err


def test_a_check_that_takes_too_long_has_no_answer(gauge: Path, wardian_command: Any) -> None:
    code, out, err = wardian_command("check", gauge, "--timeout", "0.001", "--json")
    assert (code, out) == (2, "")
    assert "took longer than 0.001 s and was ended" in err


def test_check_says_what_ended_the_process(
    gauge: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAUGE", "killed")
    code, _, err = wardian_command("check", gauge)
    assert code == 1
    assert "was ended by SIGKILL" in err


@pytest.mark.parametrize("words", ["check", "run --inputs (torch.ones(2),) --entry gauge"])
@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        ("require", 1, "there is no policy to ask"),
        ("bogus", 2, "must be require, warn or off, and is 'bogus'"),
    ],
)
def test_nothing_is_said_to_run_that_a_policy_refuses(
    words: str,
    said: str,
    code: int,
    told: str,
    gauge: Path,
    wardian_command: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", said)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    command, *options = words.split(maxsplit=4)
    found, out, err = wardian_command(command, gauge, *options)
    assert (found, out) == (code, "")
    assert told in err
    assert err.startswith("error: ")
    assert "running" not in err
    assert "Error" not in err


@pytest.mark.parametrize("words", ["check", "run --inputs (1,)"])
def test_nothing_is_said_to_run_that_does_not_fit_here(
    words: str, lacking: Path, wardian_command: Any, tmp_path: Path
) -> None:
    command, *options = words.split()
    extern = Extern(distribution="unobtainium", version="3.1", modules=("unobtainium",), names=(), soft=False)
    test = ".wardian/tests/model.pkl"
    entry = Entry(name="model", record="model/model.pkl", type="int", test=test, outputs=False)
    write_case(lacking, {test: b"\x80\x04N."}, externs=(extern,), entries=(entry,))
    code, _, err = wardian_command(command, lacking, *options)
    assert code == 1
    assert "unobtainium" in err
    assert "running" not in err


def test_an_entry_point_is_asked_for_by_the_name_of_the_option(gauge: Path, wardian_command: Any) -> None:
    code, _, err = wardian_command("run", gauge, "--inputs", "(1,)")
    assert code == 2
    assert "several entry points; say which:\n  --entry gauge or --entry unit\n" in err
    assert "--entry gauge" in wardian_command("run", gauge, "--inputs", "(1,)", "--entry", "gage")[2]
    with pytest.raises(EntryNotFoundError, match="say which, with name='gauge' or name='unit'"):
        wardian.load(gauge)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of torch.package that takes a module of a package from the environment."""
    with PackageExporter(tmp_path / "old.pt") as exporter:
        exporter.extern(["torch", "numpy.**"])
        exporter.save_source_string("olive", "import torch\nfrom numpy.linalg import norm\n")
    return tmp_path / "old.pt"


@pytest.mark.parametrize("words", [(), ("--exact",), ("--soft", "--json")])
def test_what_names_modules_only_has_no_requirements(
    archive: Path, wardian_command: Any, words: tuple[str, ...]
) -> None:
    code, out, err = wardian_command("requirements", archive, *words)
    assert (code, out) == (2, "")
    assert "names modules, and neither distributions nor releases: numpy.linalg, torch;" in err
    with pytest.raises(wardian.NotACaseError, match="neither distributions nor releases"):
        wardian.requirements(archive)


def test_what_is_outside_is_called_by_what_the_modules_lie_in(archive: Path, wardian_command: Any) -> None:
    externs = json.loads(wardian_command("info", archive, "--json")[1])["externs"]
    assert [(extern["name"], extern["modules"]) for extern in externs] == [
        ("numpy", ["numpy.linalg"]),
        ("torch", ["torch"]),
    ]
    names = [found["name"] for found in json.loads(wardian_command("sbom", archive)[1])["components"]]
    assert sorted(names) == ["first-party", "numpy", "torch"]


@pytest.mark.filterwarnings("always")
def test_a_warning_is_shown_once_and_plainly(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pickle of os.getcwd: it runs without the code in the case.
    path = write_case(tmp_path / "elder.case", SOURCES, pickle=b"\x80\x04\x8c\x02os\x8c\x06getcwd\x93.")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("WARDIAN_TRUST", "warn")
    code, _, err = wardian_command("run", path, "--inputs", "()")
    assert code == 0
    assert [line for line in err.splitlines() if "is not trusted" in line] == [err.splitlines()[0]]
    assert err.startswith(f"warning: {path} is not trusted: ")
    assert "fix: wardian trust init" in err
    assert "WardianWarning" not in err


@pytest.mark.filterwarnings("default")
def test_a_warning_of_packing_is_shown_once(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wardian.packing.pack, "find_doubts", lambda *_, **__: ["the moon is full"])
    write_tree(tmp_path, "--- plum.py\nimport torch\ndef build():\n    return torch.nn.Linear(2, 1)\n")
    monkeypatch.chdir(tmp_path)
    with importable():
        monkeypatch.setattr(sys, "path", list(sys.path))
        code, out, err = wardian_command("pack", "plum:build", "-o", "plum.case", "--no-proof")
    assert (code, "the moon" in out) == (0, False)
    assert err == "warning: the moon is full\n"


QUINCE = """
--- quince.py
import torch

class Quince(torch.nn.Module):
    def forward(self, x):
        return open("labels.json").read()

def build():
    return open("labels.json").read()
"""


def test_what_packed_code_cannot_open_is_no_file_of_the_command(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with importable(write_tree(tmp_path / "src", QUINCE)) as load:
        wardian.pack(load("quince").Quince(), tmp_path / "quince.case", prove=False)
    code, _, err = wardian_command("run", "quince.case", "--inputs", "(1,)")
    assert code == 2
    assert "error: FileNotFoundError: [Errno 2] No such file or directory: 'labels.json'\n" in err
    assert err.endswith("wardian --debug ... shows where\n")
    _, _, err = wardian_command("run", "quince.case", "--inputs", "(1,)", "--debug")
    assert "in forward" in err
    assert "CodeFailed" not in err
    code, _, err = wardian_command("run", "elder.case", "--inputs", "(1,)")
    assert (code, err) == (2, "error: elder.case: No such file or directory\n")


def test_what_code_of_the_user_cannot_open_is_no_file_of_the_command(
    tmp_path: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_tree(tmp_path, QUINCE.replace("quince", "quincetree")))
    with importable():
        monkeypatch.setattr(sys, "path", list(sys.path))
        code, _, err = wardian_command("plan", "quincetree.py:build")
    assert code == 2
    assert err.startswith("error: FileNotFoundError: ")


def test_notes_of_the_packer_are_shown_and_compared(tmp_path: Path, wardian_command: Any) -> None:
    path, other = tmp_path / "a.case", tmp_path / "b.case"
    notes = {"accuracy": "0.91", "story": "once\nupon " * 100, "gone": "by"}
    wardian.pack({"a": 1}, path, prove=False, metadata=notes)
    many = {f"note{number}": "x" for number in range(9)}
    wardian.pack({"a": 1}, other, prove=False, metadata={"accuracy": "0.93", "story": "once"} | many)
    _, out, _ = wardian_command("info", path)
    assert "  notes       accuracy: 0.91\n" in out
    assert re.search(r"\n              story: once upon once .{,60}…\n", out)
    assert "              and 3 more; all of them: --json\n" in wardian_command("info", other)[1]
    code, out, _ = wardian_command("diff", path, other)
    assert code == 1
    assert "note accuracy: 0.91 became 0.93\n" in out
    assert "note gone: removed, by\n" in out
    assert "note note1: added, x\n" in out
    assert re.search("note story: once upon .{,60}… became once\n", out)
    wardian.pack({"a": 1}, other, prove=False, metadata=notes | {"story": notes["story"] + "the end"})
    assert wardian_command("diff", path, other)[1] == "differs: 1 note\nnote story: another text\n"


def test_a_check_that_fails_says_where_that_is_explained(
    case: Path, gauge: Path, wardian_command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAUGE", "3")
    assert wardian_command("check", gauge)[2].endswith("\n  see: docs/reference/errors.md#checkerror\n")
    with ArchiveReader.open(gauge) as archive:
        place = archive._records[RecordName("gauge.py")].offset
    content = bytearray(gauge.read_bytes())
    content[place] ^= 1
    gauge.write_bytes(content)
    code, _, err = wardian_command("check", gauge)
    assert (code, err.endswith("\n  see: docs/reference/errors.md#corruptcaseerror\n")) == (1, True)
    code, out, err = wardian_command("check", case, "--json")
    found = json.loads(out)
    assert (code, found["passed"], found["entries"]) == (2, False, [])
    assert found["problem"] == f"{case} has no self-test: it was packed without inputs"
    assert found["problem"] in err


def test_more_is_said_only_below_what_is_shown(tmp_path: Path, wardian_command: Any) -> None:
    source = "import os\nimport socket\n" + "os.getenv('x')\n" * 7 + "def call():\n    socket.socket()\n"
    path = write_case(tmp_path / "rowan.case", {"rowan.py": source}, pickle=b"\x80\x04N.")
    out = wardian_command("audit", path)[1]
    assert "network: 1 elsewhere\n    list them: --all\n" in out
    assert "    and 2 more; list them: --all\n" in out


def test_many_libraries_do_not_hide_what_is_below(tmp_path: Path, wardian_command: Any) -> None:
    files: dict[str, str | bytes] = {f"rowan/_library_{n}.so": b"\x7fELF" for n in range(8)}
    path = write_case(tmp_path / "rowan.case", {"rowan/__init__.py": "", **files})
    out = wardian_command("info", path)[1]
    (line,) = (line for line in out.splitlines() if line.startswith("  native"))
    assert "rowan/_library_3.so (inside), and 4 more inside" in line
