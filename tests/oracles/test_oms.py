"""The package model-signing accepts the bundles that Wardian writes, and Wardian those that it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

import wardian
from tests.signers import allow, make_key
from tests.support import write_case

_SIGN = """
import pathlib, sys
import model_signing.signing
case, key, bundle = map(pathlib.Path, sys.argv[1:])
model_signing.signing.Config().use_elliptic_key_signer(private_key=key).sign(case, bundle)
"""
_VERIFY = """
import pathlib, sys
import model_signing.verifying
case, key, bundle = map(pathlib.Path, sys.argv[1:])
model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key).verify(case, bundle)
"""


def model_signing(script: str, *paths: Path) -> bool:
    """Run the package in a process of its own, as it imports much; tell whether it was content."""
    done = subprocess.run([sys.executable, "-c", script, *map(str, paths)], capture_output=True, check=False)
    assert b"ModuleNotFoundError" not in done.stderr, done.stderr
    return done.returncode == 0


@pytest.fixture(scope="module", params=["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"])
def key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key as ssh-keygen makes it, with its halves as PEM beside it."""
    path = make_key(tmp_path_factory.mktemp("keys") / "key", request.param)
    private = load_ssh_private_key(path.read_bytes(), None)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.with_name("private.pem").write_bytes(pem)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_name("public.pem").write_bytes(public)
    return path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", "--- oak.py\nLEAVES = 3\n", storages=(b"\1" * 4096,))


def test_each_accepts_the_bundle_of_the_other_and_neither_another_file(key: Path, case: Path) -> None:
    signers = allow(case.with_name("allowed"), {"alice": key})
    ours = wardian.sign(case, key=key, format="oms")
    assert ours == Path(f"{case}.oms.json")
    theirs = case.with_name("theirs.json")
    assert model_signing(_SIGN, case, key.with_name("private.pem"), theirs)
    for bundle in (ours, theirs):
        (signature,) = wardian.verify_signatures(case, signers=signers, signature=bundle, format="oms")
        assert signature.signer == "alice"
    assert model_signing(_VERIFY, case, key.with_name("public.pem"), ours)

    content = bytearray(case.read_bytes())
    content[-1] ^= 1  # of the comment's length: no reader of cases opens such a file
    case.write_bytes(content)
    assert not model_signing(_VERIFY, case, key.with_name("public.pem"), ours)
    write_case(case, "--- oak.py\nLEAVES = 4\n")
    assert not model_signing(_VERIFY, case, key.with_name("public.pem"), ours)
    for bundle in (ours, theirs):
        with pytest.raises(wardian.SignatureError, match="it is not of this file"):
            wardian.verify_signatures(case, signers=signers, signature=bundle, format="oms")
