"""Commands that look at a file: what each prints and answers; none runs its code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest

from tests import archives
from tests.support import write_case
from tests.unit.cli.conftest import Command
from wardian import reporters
from wardian.cli import looking
from wardian.cli.app import run
from wardian.domain.manifest import Extern

RUNS = "raise AssertionError('packed code ran')\n"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", {"oak/__init__.py": RUNS, "oak/net.py": RUNS, "notes.txt": "x"})


def test_records_are_a_tree_for_people_and_names_for_programs(
    case: Path, wardian: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = wardian("ls", case, "[mno]*")[1].splitlines()
    assert names == ["model/model.pkl", "notes.txt", "oak/__init__.py", "oak/net.py"]
    monkeypatch.setattr(looking, "is_terminal", lambda: True)
    shown = [line.split()[-1] for line in wardian("ls", case, "[mno]*")[1].splitlines()]
    assert shown == ["model/", "model.pkl", "notes.txt", "oak/", "__init__.py", "net.py"]
    listed = json.loads(wardian("ls", case, "oak/*", "--json")[1])
    assert listed == [{"name": name, "size": len(RUNS)} for name in ("oak/__init__.py", "oak/net.py")]


@pytest.mark.parametrize("words", [["audit"], ["report", "-o", "page.html"]])
def test_what_takes_long_shows_that_it_lives(
    words: list[str], case: Path, wardian: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.chdir(case.parent)
    monkeypatch.setattr(reporters, "_is_watched", lambda stream: True)
    monkeypatch.setattr(reporters._Picture, "stage", lambda self, name: told.append(name))
    assert wardian(words[0], case, *words[1:])[0] == 0
    assert told == [words[0]]


@pytest.mark.parametrize("words", [["ls"], ["ls", "--tensors"], ["cat"]])
def test_what_there_is_not_is_the_answer_no(words: list[str], case: Path, wardian: Command) -> None:
    code, out, err = wardian(words[0], case, "gone.py", *words[1:])
    assert (code, out) == (1, "")
    assert "oak.case has no " in err.replace("\n", " ")


@pytest.mark.parametrize(("digits", "code"), [(15, 2), (16, 0), (64, 0)])
def test_a_digest_is_compared_by_sixteen_digits_at_least(
    digits: int, code: int, case: Path, wardian: Command
) -> None:
    digest = json.loads(wardian("verify", case, "--json")[1])["digest"]
    assert wardian("verify", case, "--digest", digest[:digits])[0] == code
    other = ("0" if digest[0] != "0" else "1") + digest[1:]
    assert wardian("verify", case, "--digest", other[:digits])[0] == max(code, 1)


def test_a_damaged_record_is_told_and_answers_no(case: Path, wardian: Command) -> None:
    content = bytearray(case.read_bytes())
    content[content.index(b"x", content.index(b"notes.txt"))] ^= 1
    case.write_bytes(content)
    code, out, _ = wardian("verify", case, "--json")
    assert code == 1
    assert "notes.txt" in json.loads(out)["damaged"][0]


def test_options_that_mean_nothing_alone_are_wrong_usage(
    case: Path, wardian: Command, tmp_path: Path
) -> None:
    for words, said in (
        (["verify", case, "--identity", "alice"], "whose signatures count?"),
        (["verify", case, "--signature", "x.sig"], "whose signatures count?"),
        (["verify", case, "--digest", "A" * 16], "at least 16 hexadecimal digits"),
        (["requirements", case, "--pylock"], "--pylock and --wheels go together"),
        (["requirements", case, "--wheels", tmp_path], "--pylock and --wheels go together"),
        (["report", case, "-o", case], "is what is read"),
        (["sbom", case, "-o", case], "is what is read"),
    ):
        code, out, err = wardian(*words)
        assert (code, out) == (2, "")
        assert said in " ".join(err.split())


def test_what_is_needed_is_a_line_each(tmp_path: Path, wardian: Command) -> None:
    needed = Extern(distribution="elm", version="3.1", modules=("elm",), names=(), soft=False)
    soft = Extern(distribution="fir", version="2.0", modules=("fir",), names=(), soft=True)
    case = write_case(tmp_path / "oak.case", {"oak.py": RUNS}, externs=(needed, soft))
    assert wardian("requirements", case, "--exact")[1] == "elm==3.1\n"
    assert wardian("requirements", case, "--exact", "--soft")[1].splitlines() == ["elm==3.1", "fir==2.0"]
    assert json.loads(wardian("requirements", case, "--exact", "--json")[1]) == ["elm==3.1"]
    assert wardian("info", case)[0] == 1  # elm is not here


def test_whether_anything_differs_is_the_answer(case: Path, tmp_path: Path, wardian: Command) -> None:
    assert wardian("diff", case, case)[:1] == (0,)
    other = write_case(tmp_path / "other.case", {"oak/__init__.py": RUNS, "oak/net.py": "x = 1\n"})
    code, out, _ = wardian("diff", case, other, "--json")
    assert code == 1
    assert json.loads(out)
    assert "oak/net.py" in wardian("diff", case, other)[1]


def test_why_a_module_is_there_or_that_it_is_nowhere(case: Path, wardian: Command) -> None:
    code, out, _ = wardian("why", case, "oak.nets", "--json")
    assert (code, json.loads(out)["where"]) == (1, "nowhere")
    assert "near to it: oak.net" in wardian("why", case, "oak.nets")[1]
    assert wardian("why", case, "oak.net")[0] == 0


def test_a_policy_that_is_broken_answers_no_and_one_that_is_none_has_no_answer(
    case: Path, tmp_path: Path, wardian: Command
) -> None:
    policy = tmp_path / "policy.toml"
    for text, code in (
        ("[audit]\nmax_size = 1\n", 1),
        ("[audit]\ntorch_package = true\n", 0),
        ("[audit]\nmax_sizes = 1\n", 2),
    ):
        policy.write_text(text)
        found = wardian("audit", case, "--policy", policy, "--json")
        assert found[0] == code
        if code < 2:
            assert bool(json.loads(found[1])["policy"]["broken"]) is (code == 1)


def test_a_record_is_written_as_it_is(case: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["cat", str(case), "oak/net.py"]) == 0
    assert capsysbinary.readouterr().out == RUNS.encode()


def test_a_source_that_is_shown_keeps_its_characters(
    tmp_path: Path, wardian: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "\n\nx = 'tree'   \n\n# no end"
    case = write_case(tmp_path / "oak.case", {"oak.py": source.encode()})
    monkeypatch.setattr(looking, "is_terminal", lambda: True)
    assert click.unstyle(wardian("cat", case, "oak.py")[1]) == source + "\n"


def test_a_bill_and_a_page_go_where_they_are_told(case: Path, tmp_path: Path, wardian: Command) -> None:
    assert wardian("sbom", case, "-o", tmp_path / "bill.json")[0] == 0
    bill = json.loads((tmp_path / "bill.json").read_text())
    assert json.loads(wardian("sbom", case)[1]) == bill
    assert bill["bomFormat"] == "CycloneDX"
    assert wardian("report", case, "-o", tmp_path / "oak.html")[1].startswith(f"{tmp_path}/oak.html: ")
    assert (tmp_path / "oak.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_report_without_its_library_says_what_installs_it(
    case: Path, tmp_path: Path, wardian: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("wardian.cli.report")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = wardian("report", case, "-o", tmp_path / "oak.html")
    assert code == 2
    assert "fix: pip install 'wardian[cli]'" in err


def test_an_archive_of_torch_package_says_what_it_cannot_promise(tmp_path: Path, wardian: Command) -> None:
    entries = [archives.Forged(b"p/.data/extern_modules"), archives.Forged(b"p/oak.py", b"x = 1")]
    (tmp_path / "oak.pt").write_bytes(archives.forge(entries, sealed=False))
    assert "no digests" in wardian("audit", tmp_path / "oak.pt")[2]
    assert "no index of tensors" in wardian("ls", tmp_path / "oak.pt", "--tensors")[2]
    assert "which is no digest" in wardian("verify", tmp_path / "oak.pt")[1]
