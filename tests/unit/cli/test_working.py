"""Commands that pack, run and write files: what they refuse, and what they leave as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import pytest

from tests.cages import playing
from tests.support import write_case, write_tree
from tests.unit.cli.conftest import Command
from wardian.cli import working

NAMES = {"oak.py": "x = 1\n", "data/notes.txt": "notes\n"}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", NAMES)


# What is packed


@pytest.mark.parametrize(
    ("target", "entries", "inputs", "files", "words"),
    [
        (None, (), (), (), "give a TARGET, or --entry NAME=TARGET"),
        ("oak:x", ("a=oak:x",), (), (), "give a TARGET, or --entry NAME=TARGET"),
        ("oak:x", (), ("(1,)", "(2,)"), (), "one TARGET is called once"),
        ("oak:x", (), (), ("a.pt", "b.pt"), "one TARGET is called once"),
        (None, ("a=oak:x",), ("b=(1,)",), ("c=c.pt",), "inputs for b, c, and no --entry of the name"),
    ],
)
def test_what_is_packed_is_said_in_one_way(
    target: str | None,
    entries: tuple[str, ...],
    inputs: tuple[str, ...],
    files: tuple[str, ...],
    words: str,
) -> None:
    with pytest.raises(click.UsageError, match=words):
        working._objects(target, entries, inputs, files)


def test_objects_and_inputs_have_the_names_of_their_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        write_tree(tmp_path, "--- train.py\ndef build():\n    return [1]\nwords = {'a': 1}\n") / "train.py"
    )
    assert working._objects(f"{script}:words", (), ("(1, 2)",), ()) == {"obj": {"a": 1}, "inputs": (1, 2)}
    assert working._objects(f"{script}:build", (), (), ()) == {"obj": [1], "inputs": None}
    both = (f"model={script}:build", f"words={script}:words")
    assert working._objects(None, both, ("model=(3,)",), ()) == {
        "entries": {"model": [1], "words": {"a": 1}},
        "inputs": {"model": (3,)},
    }
    assert working._objects(None, both, (), ())["inputs"] is None


def test_an_output_is_looked_at_before_a_script_runs(tmp_path: Path, wardian: Command) -> None:
    script = write_tree(tmp_path, "--- train.py\nraise AssertionError('it ran')\n") / "train.py"
    for output, words in (
        (script, "is what is read"),
        (tmp_path, "is a folder"),
        (tmp_path / "x/y", "no folder"),
    ):
        code, _, err = wardian("pack", f"{script}:model", "-o", output)
        assert code == 2
        assert words in " ".join(err.split())


# Checking and running


def test_without_a_self_test_there_is_no_answer(case: Path, wardian: Command) -> None:
    code, out, err = wardian("check", case, "--json")
    assert code == 2
    assert json.loads(out)["problem"] == f"{case} has no self-test: it was packed without inputs"
    assert "packed without inputs" in err
    assert wardian("check", case, "--entry", "elm")[0] == 2
    assert wardian("check", case, "--timeout", "0")[0] == 2


def test_a_time_limit_goes_with_a_cage(case: Path, wardian: Command) -> None:
    code, _, err = wardian("run", case, "--inputs", "()", "--timeout", "3")
    assert code == 2
    assert "--timeout goes with --sandbox" in err
    assert wardian("run", case, "--inputs", "()", "-o", case)[0] == 2


def test_in_a_cage_the_result_is_printed_and_what_code_prints_goes_elsewhere(
    case: Path, wardian: Command
) -> None:
    def grow(question: dict[str, object]) -> dict[str, object]:
        child.print(b"growing\n")
        return {"ok": 7 if question["do"] == "call" else None}

    with playing(grow) as child:
        code, out, err = wardian("run", case, "--inputs", "(1,)", "--sandbox", "--timeout", "60")
    assert (code, out) == (0, "7\n")
    assert f"running the code in {case} ..." in err
    assert [question["do"] for question in child.asked] == ["open", "load", "call"]


# Files


def test_records_are_written_and_nothing_that_is_there_is_touched(
    case: Path, tmp_path: Path, wardian: Command
) -> None:
    out = tmp_path / "out"
    assert wardian("extract", case, "*.txt", "-C", out) == (0, f"1 records below {out}\n", "")
    assert [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()] == [
        "data/notes.txt"
    ]
    (out / "data/notes.txt").write_text("mine")
    code, _, err = wardian("extract", case, "-C", out)
    assert code == 2
    assert "extract into an empty folder" in err
    assert (out / "data/notes.txt").read_text() == "mine"
    assert not (out / "oak.py").exists()
    assert wardian("extract", case, "*.zip", "-C", tmp_path / "other")[0] == 1
    assert not (tmp_path / "other").exists()


def test_weights_that_there_are_not_are_the_answer_no(case: Path, tmp_path: Path, wardian: Command) -> None:
    target = tmp_path / "w.safetensors"
    assert "no tensor fc" in wardian("weights", case, "-o", target, "--only", "fc.*")[2]
    code, _, err = wardian("weights", case, "-o", target)
    assert code == 1
    assert "model has no tensors that a state_dict has" in err
    assert not target.exists()
    assert wardian("weights", case, "-o", case)[0] == 2


def test_a_case_is_pushed_to_a_url_and_to_no_folder(case: Path, tmp_path: Path, wardian: Command) -> None:
    code, _, err = wardian("push", case, tmp_path / "shelf.case")
    assert code == 2
    assert "cp puts it into a folder" in err
    assert wardian("push", case, "memory://shelf/oak.case") == (0, "memory://shelf/oak.case\n", "")


def test_the_cache_folder_is_shown_and_cleared(
    cache: Path, wardian: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_CACHE_MAX_DAYS", "inf")
    found = json.loads(wardian("cache", "--json")[1])
    assert (found["path"], found["removed"], found["keeps"]["max_days"]) == (str(cache), 0, None)
    assert found["problem"] is None
    assert not math.isinf(found["keeps"]["max_bytes"])
    assert wardian("cache")[1].splitlines()[0] == str(cache)
    assert wardian("cache", "--clear")[1].startswith(f"{cache}: ")
    cache.chmod(0o770)
    first, fix = wardian("cache")[1].splitlines()
    assert first.startswith("there is no cache folder that can be used: other users can write to it (chmod")
    assert fix == "  fix: mend that, or let WARDIAN_CACHE name another folder"
    found = json.loads(wardian("cache", "--clear", "--json")[1])
    assert found["path"] is None
    assert found["problem"].startswith("other users can write to it (chmod")
