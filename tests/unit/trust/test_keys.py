"""Whose signature it is, for each type of key that SSH has."""

from __future__ import annotations

import base64
import sys
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests import signers
from wardian.errors import SigningError
from wardian.trust.keys import KEY_TYPES, is_signed_by, require_cryptography
from wardian.trust.sshsig import signed_data
from wardian.trust.wire import MalformedError, string, uint32

KINDS = sorted(signers.KINDS)
DATA = b"what is signed"


@cache
def private(kind: str) -> object:
    return signers.KINDS[kind]()


def public(key: object) -> bytes:
    return base64.b64decode(signers.public_line(key).split()[1])


def sign(kind: str) -> bytes:
    return string(KEY_TYPES[kind].sign(private(kind), DATA))


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_is_of_its_data_and_its_key(kind: str) -> None:
    algorithm, key, value = KEY_TYPES[kind].algorithms[0], public(private(kind)), sign(kind)
    assert is_signed_by(key, algorithm, value, DATA)
    assert not is_signed_by(key, algorithm, value, DATA + b"!")
    assert not is_signed_by(public(signers.KINDS[kind]()), algorithm, value, DATA)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_signs_as_what_it_is(kind: str) -> None:
    key, value = public(private(kind)), sign(kind)
    for algorithm in {"ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256"} - {*KEY_TYPES[kind].algorithms}:
        with pytest.raises(MalformedError, match=rf"a key of the type {kind} does not sign as '{algorithm}'"):
            is_signed_by(key, algorithm, value, DATA)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_may_follow_a_key_or_a_signature(kind: str) -> None:
    algorithm, key, value = KEY_TYPES[kind].algorithms[0], public(private(kind)), sign(kind)
    for wrong in ((key + b"\0", value), (key, value + b"\0")):
        with pytest.raises(MalformedError, match="something follows its last field"):
            is_signed_by(wrong[0], algorithm, wrong[1], DATA)


def test_a_type_that_is_not_known_is_named() -> None:
    with pytest.raises(MalformedError, match="keys of the type 'ssh-dss' are not supported"):
        is_signed_by(string(b"ssh-dss"), "ssh-dss", b"", DATA)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_device_signs_its_flags_and_its_counter_too(kind: str) -> None:
    key = private(kind)
    assert isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey)
    made = signers.device_signature(key, DATA)
    message = signed_data(DATA, hashed="sha512")
    assert is_signed_by(made.key, made.algorithm, made.value, message)
    counter = made.value[:-4] + uint32(8)
    assert not is_signed_by(made.key, made.algorithm, counter, message)
    other = made.key[: -len(string(b"ssh:"))] + string(b"ssh:other")
    assert not is_signed_by(other, made.algorithm, made.value, message)
    with pytest.raises(MalformedError, match="only its device signs"):
        KEY_TYPES[made.algorithm].sign(key, DATA)


@pytest.mark.parametrize("size", [31, 33])
def test_a_key_of_ed25519_has_32_bytes(size: int) -> None:
    with pytest.raises(MalformedError, match="not one of Ed25519"):
        is_signed_by(string(b"ssh-ed25519") + string(bytes(size)), "ssh-ed25519", string(b""), DATA)


@pytest.mark.parametrize("bits", [2047, 2048, 16384, 16385])
def test_the_size_of_an_rsa_key_has_two_bounds(bits: int) -> None:
    key = string(b"ssh-rsa") + mpint(65537) + mpint((1 << (bits - 1)) + 1)
    if 2048 <= bits <= 16384:
        assert not is_signed_by(key, "rsa-sha2-512", string(bytes(bits // 8)), DATA)
    else:
        with pytest.raises(MalformedError, match=f"has 2048 to 16384 bits, this {bits}"):
            is_signed_by(key, "rsa-sha2-512", string(b"x"), DATA)


def test_an_exponent_that_takes_long_is_refused() -> None:
    for exponent, words in ((1 << 64, "more than 64 bits"), (2, "fit no key")):
        key = string(b"ssh-rsa") + mpint(exponent) + mpint((1 << 2047) + 1)
        with pytest.raises(MalformedError, match=words):
            is_signed_by(key, "rsa-sha2-512", string(b"x"), DATA)


def test_an_rsa_signature_may_leave_out_leading_zeros_and_has_no_more_bytes_than_the_key() -> None:
    key = private("ssh-rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    number = next(n for n in range(10_000) if KEY_TYPES["ssh-rsa"].sign(key, b"%d" % n)[0] == 0)
    value = KEY_TYPES["ssh-rsa"].sign(key, b"%d" % number)
    assert is_signed_by(public(key), "rsa-sha2-512", string(value[1:]), b"%d" % number)
    with pytest.raises(MalformedError, match="longer than the key"):
        is_signed_by(public(key), "rsa-sha2-512", string(b"\0" + value), b"%d" % number)


def test_without_the_library_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(SigningError, match=r"fix: pip install 'wardian\[sign\]'"):
        require_cryptography()
    with pytest.raises(SigningError):
        is_signed_by(b"", "", b"", b"")
