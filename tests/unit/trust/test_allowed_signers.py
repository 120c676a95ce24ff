"""Files of allowed signers; tests/oracles compares them with ssh-keygen."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wardian.trust.allowed_signers import AllowedSigners

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def parse(*lines: str) -> AllowedSigners:
    return AllowedSigners.parse("\n".join(lines).encode(), "allowed_signers")


def test_a_line_has_names_options_and_a_key() -> None:
    (signer,) = parse(
        "# ours", "", f'alice@example.com,bob namespaces="a,b",valid-after="20260101Z" {KEY} at work'
    ).signers
    assert (signer.line, signer.principals, signer.namespaces) == (3, "alice@example.com,bob", "a,b")
    assert signer.valid_after == datetime(2026, 1, 1, tzinfo=UTC)
    assert signer.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("alice", "a line has names"),
        ("alice ssh-dss AAAA", "'ssh-dss' is neither an option nor a type of keys"),
        ("alice ssh-ed25519", "what follows ssh-ed25519 is no such key"),
        ("alice ssh-ed25519 !!!!", "no such key"),
        ("alice ssh-ed25519 AAAAB3NzaC1yc2E=", "no such key"),
        (f"alice cert-authority {KEY}", "certificates are not supported"),
        (f"alice restrict {KEY}", "'restrict' is neither an option"),
        (f"alice namespaces {KEY}", "needs a value"),
        (f"alice namespaces=x {KEY}", "needs a value in quotes"),
        (f'alice cert-authority="x" {KEY}', "has no value"),
        (f'alice namespaces="x",namespaces="y" {KEY}', "is there twice"),
        (f'alice valid-before="2026" {KEY}', "is no time"),
        (f'alice valid-before="20261301" {KEY}', "is no time"),
        (f'alice valid-after="20270101",valid-before="20260101" {KEY}', "is not after"),
        (f'"alice {KEY}', "a line has names"),
    ],
)
def test_a_line_that_cannot_be_used_says_where_and_why(line: str, words: str) -> None:
    allowed = parse(f"bob {KEY}", line)
    assert [signer.principals for signer in allowed.signers] == ["bob"]
    (problem,) = allowed.problems
    assert problem.what.startswith("allowed_signers:2 allows nobody: ")
    assert words in problem.what


@pytest.mark.parametrize(
    ("names", "identity", "matches"),
    [
        ("alice@example.com", "alice@example.com", True),
        ("alice@example.com", "bob@example.com", False),
        ("*@example.com", "alice@example.com", True),
        ("*@example.com", "alice@example.com.evil.org", False),
        ("*@example.com,!alice@example.com", "alice@example.com", False),
        ("!alice@example.com,*@example.com", "bob@example.com", True),
        ("ali?e,b[o]b", "alice", True),
        ("ali?e,b[o]b", "bob", False),
        ("alice.example", "alicexexample", False),
    ],
)
def test_names_are_patterns_of_which_an_exclamation_mark_denies(
    names: str, identity: str, matches: bool
) -> None:
    (signer,) = parse(f"{names} {KEY}").signers
    why = signer.refusal(namespace="x", identity=identity, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert (why is None) is matches


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260703Z", datetime(2026, 7, 3, tzinfo=UTC)),
        ("202607031730Z", datetime(2026, 7, 3, 17, 30, tzinfo=UTC)),
        ("20260703173059utc", datetime(2026, 7, 3, 17, 30, 59, tzinfo=UTC)),
        ("20260703", datetime(2026, 7, 2, 19, 0, tzinfo=UTC)),
    ],
)
def test_times_are_local_or_utc(text: str, expected: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-5")  # five hours ahead
    time.tzset()
    try:
        (signer,) = parse(f'alice valid-before="{text}" {KEY}').signers
    finally:
        monkeypatch.undo()
        time.tzset()
    assert signer.valid_before == expected


@pytest.mark.parametrize(
    ("names", "somebody"),
    [
        ("!alice", False),
        ('""', False),
        (",", False),
        ("!*", False),
        ("!*,alice", False),
        ("alice,!alice", False),
        ("*@example.com,!*@example.*", False),
        ("alice,bob,!alice", True),
        ("*@example.com,!?@example.com", True),
        ("*,!*@*", True),
        ("!,alice", True),
    ],
)
def test_a_line_that_no_name_matches_allows_nobody(names: str, somebody: bool) -> None:
    found = parse(f"{names} {KEY}")
    assert bool(found.signers) is somebody
    if not somebody:
        (problem,) = found.problems
        assert ":1 allows nobody: " in problem.what
        assert "is the name of nobody" in problem.what


def test_the_bounds_of_a_time_count() -> None:
    (signer,) = parse(f'alice valid-after="20260101Z",valid-before="20260102Z" {KEY}').signers
    for day, refused in ((1, False), (2, False), (3, True)):
        now = datetime(2026, 1, day, tzinfo=UTC)
        assert (signer.refusal(namespace="x", identity=None, now=now) is not None) is refused


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ValueError, match="no file of allowed signers"):
        AllowedSigners.read(path)
    assert parse("\0\xff").signers == ()
