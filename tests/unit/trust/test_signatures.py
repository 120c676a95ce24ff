"""Who signed a case, as far as a file of allowed signers tells."""

from __future__ import annotations

import io
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

import wardian
from tests.signers import allow, line_of, make_key, signature_of, text_of
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.trust.allowed_signers import AllowedSigners
from wardian.trust.signatures import check_content, check_signatures, claimed_signatures, seal_of

SEAL = b"00" * 32 + b"\n"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "alice")


@pytest.fixture(scope="module")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "bob", "ecdsa-sha2-nistp256")


def allowed(*lines: str) -> AllowedSigners:
    return AllowedSigners.parse("\n".join(lines).encode(), "allowed_signers")


def test_a_signature_by_an_allowed_key_counts_and_says_whose_it_is(alice: Path) -> None:
    checked = check_content(
        SEAL, text_of(signature_of(alice, SEAL)), allowed(f"alice@example.com {line_of(alice)}")
    )
    assert [s.signer for s in checked.valid] == ["alice@example.com"]
    assert checked.problems == ()
    assert checked.valid[0].key == "ssh-ed25519"
    assert checked.valid[0].fingerprint.startswith("SHA256:")


def test_each_of_several_signers_is_told(alice: Path, bob: Path) -> None:
    content = text_of(signature_of(alice, SEAL), signature_of(bob, SEAL))
    checked = check_content(SEAL, content, allowed(f"alice {line_of(alice)}", f"bob {line_of(bob)}"))
    assert [s.signer for s in checked.valid] == ["alice", "bob"]


def test_one_that_counts_is_enough_and_the_other_is_told(alice: Path, bob: Path) -> None:
    content = text_of(signature_of(bob, SEAL), signature_of(alice, SEAL))
    checked = check_content(SEAL, content, allowed(f"alice {line_of(alice)}"))
    assert [s.signer for s in checked.signatures] == [None, "alice"]
    assert "allowed_signers does not have the key" in checked.problems[0].what
    assert line_of(bob) in checked.problems[0].fix


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param('namespaces="git"', 'namespaces="git"', id="another namespace"),
        pytest.param('valid-before="20260101Z"', "not valid after 2026-01-01", id="expired"),
        pytest.param('valid-after="20270101Z"', "not valid before 2027-01-01", id="not yet"),
    ],
)
def test_what_a_line_says_of_its_key_is_kept(options: str, words: str, alice: Path) -> None:
    signers = allowed(f"alice {options} {line_of(alice)}")
    checked = check_content(SEAL, text_of(signature_of(alice, SEAL)), signers, now=NOW)
    assert checked.valid == ()
    assert words in checked.problems[0].what
    assert "allowed_signers:1" in checked.problems[0].what


def test_any_line_of_the_key_may_allow_it(alice: Path) -> None:
    signers = allowed(f'alice valid-before="20250101Z" {line_of(alice)}', f"alice@new {line_of(alice)}")
    checked = check_content(SEAL, text_of(signature_of(alice, SEAL)), signers, now=NOW)
    assert [s.signer for s in checked.valid] == ["alice@new"]


def test_a_certain_signer_can_be_asked_for(alice: Path, bob: Path) -> None:
    content = text_of(signature_of(alice, SEAL), signature_of(bob, SEAL))
    signers = allowed(f"*@example.com {line_of(alice)}", f"bob@elsewhere.org {line_of(bob)}")
    found = check_content(SEAL, content, signers, identity="alice@example.com")
    assert [s.key for s in found.valid] == ["ssh-ed25519"]
    assert "and not of alice@example.com" in found.problems[0].what
    assert check_content(SEAL, content, signers, identity="carol@corp.org").valid == ()


def test_a_line_that_cannot_be_used_is_a_problem_and_the_others_count(alice: Path) -> None:
    signers = allowed("carol cert-authority " + line_of(alice), f"alice {line_of(alice)}")
    checked = check_content(SEAL, text_of(signature_of(alice, SEAL)), signers)
    assert [s.signer for s in checked.valid] == ["alice"]
    assert "allowed_signers:1 allows nobody: certificates are not supported" in checked.problems[0].what


def test_claims_are_read_without_being_checked(alice: Path) -> None:
    (claim,) = claimed_signatures(text_of(signature_of(alice, b"of something else")))
    assert (claim.key, claim.signer) == ("ssh-ed25519", None)
    assert str(claim).startswith("unverified (ssh-ed25519 SHA256:")


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", "--- oak.py\nLEAVES = 3\n")


def test_the_signatures_of_an_open_archive_are_those_beside_it(case: Path, alice: Path) -> None:
    signers = allow(case.with_name("allowed"), {"alice": alice})
    with ArchiveReader.open(case) as archive:
        missing = check_signatures(archive, case, signers)
        assert missing.valid == ()
        assert "wardian sign" in missing.problems[0].fix
        Path(f"{case}.sig").write_bytes(text_of(signature_of(alice, seal_of(archive))))
        assert [s.signer for s in check_signatures(archive, case, signers).valid] == ["alice"]


def test_content_in_memory_needs_signatures_by_name_or_content(case: Path, alice: Path) -> None:
    signers = allow(case.with_name("allowed"), {"alice": alice})
    place = wardian.sign(case, key=alice)
    content = case.read_bytes()
    for given in (place, str(place), place.read_bytes()):
        assert wardian.verify_signatures(content, signers=signers, signature=given)
    with pytest.raises(wardian.SignatureError, match="in memory") as caught:
        wardian.verify_signatures(content, signers=signers)
    assert caught.value.problems
    with case.open("rb") as file:
        assert wardian.verify_signatures(file, signers=signers)
    assert wardian.verify_signatures(io.BytesIO(content), signers=signers, signature=place)


def test_a_refusal_has_all_problems_and_survives_pickling(case: Path, alice: Path, bob: Path) -> None:
    wardian.sign(case, key=alice)
    signers = allow(case.with_name("allowed"), {"bob": bob})
    with pytest.raises(wardian.SignatureError, match="is not signed by anybody whom") as caught:
        wardian.verify_signatures(case, signers=signers)
    assert "does not have the key" in str(pickle.loads(pickle.dumps(caught.value)))


def test_a_file_of_signers_that_is_not_there_is_an_oserror(case: Path) -> None:
    with pytest.raises(FileNotFoundError):
        wardian.verify_signatures(case, signers=case.with_name("nobody"))


def test_the_seal_is_the_record(case: Path) -> None:
    with ArchiveReader.open(case) as archive:
        assert seal_of(archive) == archive.read(archive.names[-1])
