"""Which entry point is meant, and a self-test in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cages import playing
from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader
from wardian.cli import checking
from wardian.cli.checking import admit, check_in_cage, check_in_child, failed, find_entry
from wardian.domain.manifest import Extern
from wardian.errors import CheckError, EnvironmentMismatchError, UntrustedCaseError
from wardian.reading.foreign import read_manifest

ENTRY = MANIFEST.entries[0]
FOUND: dict[str, Any] = {"passed": True, "problem": None, "text": "the same", "entries": []}


def with_entries(*names: str) -> Any:
    return replace(MANIFEST, entries=tuple(replace(ENTRY, name=name) for name in names))


def test_of_one_entry_point_no_name_is_needed() -> None:
    assert find_entry(with_entries("oak"), "f.case", None).name == "oak"
    assert find_entry(with_entries("oak", "elm"), "f.case", "elm").name == "elm"


@pytest.mark.parametrize(
    ("names", "entry", "words"),
    [
        ((), None, "f.case has no entry points"),
        ((), "oak", "f.case has no entry points"),
        (
            ("oak", "big elm"),
            None,
            "has several entry points; say which:\n  --entry oak or --entry 'big elm'",
        ),
        (("oak",), "elm", "f.case has no entry point 'elm'; it has:\n  --entry oak"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(names: tuple[str, ...], entry: str | None, words: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        find_entry(with_entries(*names), "f.case", entry)
    assert words in caught.value.message


def test_that_code_runs_is_said_after_all_who_may_refuse_it_were_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(write_case(tmp_path / "oak.case", {"oak.py": ""}, externs=()))
    lacking = Extern(distribution="unobtainium", version="1", modules=("unobtainium",), names=(), soft=False)
    other = str(write_case(tmp_path / "elm.case", {"elm.py": ""}, externs=(lacking,)))
    with ArchiveReader.open(other) as archive, pytest.raises(EnvironmentMismatchError):
        admit(archive, read_manifest(archive), other)
    with ArchiveReader.open(path) as archive:
        manifest = read_manifest(archive)
        with monkeypatch.context() as strict:
            strict.setenv("WARDIAN_TRUST", "require")
            strict.setenv("XDG_CONFIG_HOME", str(tmp_path))
            with pytest.raises(UntrustedCaseError):
                admit(archive, manifest, path)
        assert capsys.readouterr().err == ""
        admit(archive, manifest, path)
    assert capsys.readouterr().err == f"running the code in {path} ...\n"


def in_child(code: str, monkeypatch: pytest.MonkeyPatch, timeout: float | None = None) -> dict[str, Any]:
    """Check with a program in place of the one that imports torch."""
    monkeypatch.setattr(
        checking, "_CODE", f"import json, os, sys\npath, entry, exact, answer = sys.argv[1:]\n{code}"
    )
    return check_in_child("a b.case", entry=None, exact=True, timeout=timeout)


def test_the_answer_of_the_child_is_told_with_what_it_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = f"print('growing', path, repr(entry), exact); json.dump({FOUND!r}, open(answer, 'w'))"
    assert in_child(answer, monkeypatch) == {
        **FOUND,
        "printed": "growing a b.case '' True\n",
        "page": None,
    }
    problem = {**FOUND, "passed": False, "problem": "it differs"}
    found = in_child(f"json.dump({problem!r}, open(answer, 'w'))", monkeypatch)
    assert found["page"] == CheckError("").page  # and not what code of a stranger says


def test_a_child_that_raised_an_error_of_ours_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "print('x'); json.dump({'problem': 'no such entry', 'page': 'errors.md'}, open(answer, 'w'))"
    assert in_child(code, monkeypatch) == failed("no such entry", "errors.md", printed="x\n")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("sys.exit(3)", "the self-test of a b.case ended its process with exit code 3"),
        ("os.kill(os.getpid(), 9)", "the self-test of a b.case was ended by SIGKILL"),
        ("os.kill(os.getpid(), 40)", "the self-test of a b.case was ended by signal 40"),
        ("sys.stderr.write('out of memory'); sys.exit(1)", "out of memory"),
    ],
)
def test_how_a_child_ended_is_told(code: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_child(code, monkeypatch) == failed(problem)


def test_a_child_that_takes_too_long_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.ClickException, match=r"took longer than 0\.01 s and was ended"):
        in_child("import signal; signal.pause()", monkeypatch, timeout=0.01)


def test_in_a_cage_the_same_is_told(tmp_path: Path) -> None:
    path = str(write_case(tmp_path / "oak.case"))
    with playing(lambda question: {"ok": FOUND}) as child:
        found = check_in_cage(path, entry="oak", exact=False, timeout=60)
        assert found == {**FOUND, "printed": "", "page": None}
        assert child.asked[-1] == {"do": "check", "entry": "oak", "exact": False}
    with playing(lambda question: {"error": {"type": "KeyError", "text": "oak"}}):
        found = check_in_cage(path, entry=None, exact=False, timeout=60)
        assert found["passed"] is False
        assert "raised KeyError: oak" in found["problem"]
