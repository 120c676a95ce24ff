"""Which keys sign, and what happens to the file of signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.signers import make_key, signature_of, text_of
from wardian.errors import SigningError
from wardian.trust.signing import sign_seal, write_signature
from wardian.trust.sshsig import read_blocks

SEAL = b"ab" * 32 + b"\n"


def _pem(path: Path, private: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> Path:
    path.write_bytes(private.private_bytes(Encoding.PEM, form, NoEncryption()))
    return path


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_may_be_pem(form: PrivateFormat, tmp_path: Path) -> None:
    made = sign_seal(SEAL, _pem(tmp_path / "key", ec.generate_private_key(ec.SECP384R1()), form))
    assert made.algorithm == "ecdsa-sha2-nistp384"


@pytest.mark.parametrize(
    ("private", "words"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "keys of this type are not supported"),
        (ed448.Ed448PrivateKey.generate(), "keys of this type are not supported"),
        (rsa.generate_private_key(65537, 1024), "has 2048 to 16384 bits"),
    ],
    ids=["secp256k1", "ed448", "rsa of 1024 bits"],
)
def test_a_key_that_nobody_would_accept_does_not_sign(private: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match=words):
        sign_seal(SEAL, _pem(tmp_path / "key", private))


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"\0" * 5000])
def test_a_file_that_is_no_key(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SigningError, match="is no key"):
        sign_seal(SEAL, tmp_path / "key")


def test_signatures_of_others_stay_and_those_of_another_seal_go(tmp_path: Path) -> None:
    alice, bob, carol = (make_key(tmp_path / name) for name in ("alice", "bob", "carol"))
    place = tmp_path / "sig"
    old, kept = signature_of(alice, b"another"), signature_of(bob, SEAL)
    forged = signature_of(carol, SEAL, value=b"\0\0\0\1x")
    place.write_bytes(text_of(old, kept, forged))
    made = sign_seal(SEAL, alice)
    write_signature(place, SEAL, made)
    assert read_blocks(place.read_bytes()) == [kept.to_blob(), made.to_blob()]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    key = make_key(tmp_path / "alice")
    with pytest.raises(OSError, match="does not exist"):
        write_signature(tmp_path / "nowhere" / "sig", SEAL, sign_seal(SEAL, key))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_signature(tmp_path / "folder", SEAL, sign_seal(SEAL, key))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alice", "alice.pub", "folder"]
