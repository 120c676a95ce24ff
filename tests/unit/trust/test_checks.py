"""Which signatures count, by the lines of a file of allowed signers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from wardian.errors import Problem
from wardian.trust.allowed_signers import AllowedSigners
from wardian.trust.checks import Asked, NotValidError, Signature, SignatureCheck
from wardian.trust.wire import string

KEY = string(b"ssh-ed25519") + string(bytes(range(32)))
TEXT = f"ssh-ed25519 {base64.b64encode(KEY).decode()}"
UNCHECKED = Signature(fingerprint="SHA256:abc", key="ssh-ed25519", namespace="wardian-case")


def asked(*lines: str, identity: str | None = None) -> Asked:
    signers = AllowedSigners.parse("\n".join(lines).encode(), "team")
    return Asked(signers=signers, identity=identity, now=datetime(2026, 6, 1, tzinfo=UTC))


def test_a_signature_says_whose_it_is_only_if_it_counts() -> None:
    counted = UNCHECKED.by("alice")
    assert (str(UNCHECKED), str(counted)) == (
        "unverified (ssh-ed25519 SHA256:abc)",
        "alice (ssh-ed25519 SHA256:abc)",
    )
    assert UNCHECKED.signer is None
    check = SignatureCheck(signatures=(UNCHECKED, counted), problems=(Problem("why", ""),))
    assert check.valid == (counted,)


def test_the_first_line_that_allows_it_says_whose_signature_it_is() -> None:
    question = asked(
        f'old valid-before="20250101" {TEXT}', f'git namespaces="git" {TEXT}', f"alice {TEXT}", f"bob {TEXT}"
    )
    lines = question.lines_of(KEY, "ssh-ed25519")
    assert [line.principals for line in lines] == ["old", "git", "alice", "bob"]
    assert question.signer_of(lines, "wardian-case") == "alice"
    assert question.signer_of(lines, "git") == "git"


def test_every_line_that_does_not_allow_it_says_why() -> None:
    question = asked(f'old valid-before="20250101" {TEXT}', f"bob {TEXT}", identity="alice")
    with pytest.raises(
        NotValidError, match=r"^team:1: .*; team:2: the key is that of bob, and not of alice$"
    ):
        question.signer_of(question.lines_of(KEY, "ssh-ed25519"), "wardian-case")


def test_a_key_that_is_not_there_can_be_added_as_the_fix_says() -> None:
    with pytest.raises(NotValidError, match="team does not have the key") as caught:
        asked().lines_of(KEY, "ssh-ed25519")
    line = caught.value.fix.partition("add a line to it: ")[2].replace("NAME", "alice")
    assert asked(line).lines_of(KEY, "ssh-ed25519")[0].principals == "alice"
