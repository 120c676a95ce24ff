"""Signatures on the command line: what `info` and `verify` tell, and `wardian sign`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signers import allow, make_key
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.cli.app import run
from wardian.cli.output import Line
from wardian.cli.signatures import Found
from wardian.errors import Problem
from wardian.trust.signing import sign


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", {"oak.py": ""})


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    return make_key(tmp_path / "alice")


def test_signatures_beside_a_file_are_claims(case: Path, alice: Path) -> None:
    assert Found.claimed(str(case)) == Found(signatures=())
    sign(case, key=alice)
    found = Found.claimed(str(case))
    assert found.signatures is not None
    assert [signature.key for signature in found.signatures] == ["ssh-ed25519"]
    assert (found.valid, found.checked, found.problems) == ((), False, ())


def test_of_a_url_nobody_asks_for_signatures() -> None:
    found = Found.claimed("https://nobody.invalid/oak.case")
    assert found.signatures is None
    assert found.to_plain() == {"signatures": None, "signature_problems": []}


def test_a_file_of_signatures_that_cannot_be_read_is_a_problem(case: Path) -> None:
    (case.parent / "oak.case.sig").write_text("nothing of the kind")
    (problem,) = Found.claimed(str(case)).problems
    assert problem.what.startswith(f"{case}.sig cannot be read: ")
    (case.parent / "oak.case.sig").unlink()
    (case.parent / "oak.case.sig").symlink_to("gone")
    assert Found.claimed(str(case)) == Found(signatures=())


def test_checked_signatures_say_whose_they_are(case: Path, alice: Path, tmp_path: Path) -> None:
    team = str(allow(tmp_path / "team", {"alice": alice}))
    with ArchiveReader.open(case) as archive:
        none = Found.of(str(case), archive, team)
        assert (none.checked, none.valid, none.signatures) == (True, (), ())
        assert none.problems
        sign(case, key=alice)
        found = Found.of(str(case), archive, team)
        assert [signature.signer for signature in found.valid] == ["alice"]
        other = Found.of(str(case), archive, team, identity="bob")
        assert other.valid == ()
        assert other.to_plain()["signatures"][0]["signer"] is None
        assert "not of bob" in other.to_plain()["signature_problems"][0]["what"]


def test_a_fix_stands_below_its_problem() -> None:
    found = Found(problems=(Problem("it is not signed", "wardian sign"), Problem("nor that", "")))
    assert list(found.problem_lines("  ")) == [
        Line("it is not signed", "  "),
        "    fix: wardian sign",
        Line("nor that", "  "),
    ]


@pytest.mark.parametrize(
    ("form", "suffix", "kind"), [("ssh", ".sig", "ssh-ed25519"), ("oms", ".oms.json", "ecdsa-sha2-nistp256")]
)
def test_the_command_says_where_the_signatures_are(
    form: str, suffix: str, kind: str, case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = make_key(tmp_path / "key", kind)
    assert run(["sign", str(case), "--key", str(key), "--format", form]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{case} is signed")
    assert f"{case}{suffix}" in lines[0]
    assert len(lines) == (2 if form == "ssh" else 1)
    assert Path(f"{case}{suffix}").exists()
    assert run(["sign", str(case), "--key", str(tmp_path / "gone")]) == 2
