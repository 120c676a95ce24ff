"""Bundles of OpenSSF model signing 1.0 (OMS), signed by a key: for platforms that ask for them.

A bundle is a Sigstore bundle with a DSSE envelope, in which an in-toto statement has the SHA-256 of the whole
file. So a case is read to its end to be signed and to be checked; signatures of the seal need neither.
The package model-signing reads and writes the same (tests/oracles).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from typing import Any

from wardian.errors import Problem, SigningError
from wardian.trust.allowed_signers import AllowedSigner
from wardian.trust.checks import Asked, NotValidError, Signature, SignatureCheck
from wardian.trust.keys import KEY_TYPES, is_signed_by
from wardian.trust.wire import Fields, MalformedError, string

__all__ = ["PREDICATE", "check_bundle", "make_bundle"]

PREDICATE = "https://model_signing/signature/v1.0"
"""The type of the statement: what the signature is for."""

_STATEMENT = "https://in-toto.io/Statement/v1"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_ECDSA = "ecdsa-sha2-"
"""Prefix of the types of keys that the specification allows."""
_THE_FILE = "."
"""The name of a model that is one file."""


def make_bundle(private: Any, key: bytes, name: str, digest: Callable[[], str]) -> bytes:
    """Sign a file.

    Args:
        private: An ECDSA key of `cryptography`.
        key: Its public half, in the form of RFC 4253.
        name: What the model is called; it has no meaning.
        digest: Returns the SHA-256 of the file, in hexadecimal digits; called if the key can sign.

    Raises:
        SigningError: if the key is of another type.
    """
    key_type = Fields(key).text()
    if not key_type.startswith(_ECDSA):
        raise SigningError(
            f"OMS bundles are signed by ECDSA keys, and this is of the type {key_type}\n"
            "  fix: ssh-keygen -t ecdsa -b 256 -f KEY"
        )
    payload = json.dumps(_statement(name, digest()), sort_keys=True).encode()
    value = KEY_TYPES[key_type].sign(private, _signed(payload))
    bundle = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": _hint(key)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(_to_der(value)).decode(), "keyid": ""}],
        },
    }
    return (json.dumps(bundle, indent=1) + "\n").encode()


def _statement(name: str, digest: str) -> dict[str, Any]:
    resource = {"name": _THE_FILE, "algorithm": "sha256", "digest": digest}
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root(digest)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [resource],
        },
    }


def _root(digest: str) -> str:
    """Return the digest of all resources, of which there is one."""
    return hashlib.sha256(bytes.fromhex(digest)).hexdigest()


def _signed(payload: bytes) -> bytes:
    """Return what is signed in place of a payload (DSSE, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def _hint(key: bytes) -> str:
    """Return by what a bundle names a public key: the SHA-256 of its PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

    text = Fields(key).text().encode() + b" " + base64.b64encode(key)
    pem = load_ssh_public_key(text).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _to_der(value: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    numbers = Fields(value)
    return encode_dss_signature(numbers.positive(), numbers.positive())


def _from_der(value: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    try:
        numbers = decode_dss_signature(value)
    except ValueError:
        raise MalformedError("its signature is no DER") from None
    return string(b"".join(string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))


def check_bundle(content: bytes, digest: Callable[[], str], asked: Asked) -> SignatureCheck:
    """Check a bundle.

    Args:
        content: The file.
        digest: Returns the SHA-256 of the case, in hexadecimal digits; called if the signature is valid.
        asked: Whose signatures count.

    Raises:
        SigningError: if `cryptography` is not installed.
    """
    problems = asked.signers.problems
    try:
        bundle = _Bundle(content)
        lines = _lines_of(bundle, asked)
    except (MalformedError, NotValidError) as error:
        what = f"the bundle does not count: {error}"
        return SignatureCheck(signatures=(), problems=(*problems, Problem(what, getattr(error, "fix", ""))))
    line = lines[0]
    claim = Signature(fingerprint=line.fingerprint, key=line.key_type, namespace=PREDICATE)
    try:
        value = _from_der(bundle.value)
        if not is_signed_by(line.key, line.key_type, value, _signed(bundle.payload)):
            raise NotValidError("the signature was altered, or is by another key than it says")
        if _digest_in(bundle.payload) != digest():
            raise NotValidError("it is not of this file; the file is another one")
        signer = asked.signer_of(lines, PREDICATE)
    except (MalformedError, NotValidError) as error:
        what = f"the bundle by {claim.key} {claim.fingerprint} does not count: {error}"
        return SignatureCheck(
            signatures=(claim,), problems=(*problems, Problem(what, getattr(error, "fix", "")))
        )
    return SignatureCheck(signatures=(claim.by(signer),), problems=problems)


class _Bundle:
    """A bundle as it says itself; nothing of it is checked.

    Raises:
        MalformedError: if it is none that a key has signed.
    """

    def __init__(self, content: bytes) -> None:
        bundle = _json(content, "it")
        material = bundle.get("verificationMaterial")
        envelope = bundle.get("dsseEnvelope")
        if bundle.get("mediaType") != _MEDIA_TYPE or not isinstance(envelope, dict):
            raise MalformedError("it is no Sigstore bundle of version 0.3 with a DSSE envelope")
        public = material.get("publicKey") if isinstance(material, dict) else None
        if not isinstance(public, dict) or not isinstance(public.get("hint"), str):
            raise MalformedError("it is not signed by a key that it names; certificates are not supported")
        signatures = envelope.get("signatures")
        if envelope.get("payloadType") != _PAYLOAD_TYPE:
            raise MalformedError("its payload is no in-toto statement")
        if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
            raise MalformedError("it has not one signature")
        self.hint: str = public["hint"]
        self.payload = _base64(envelope.get("payload"))
        self.value = _base64(signatures[0].get("sig"))


def _json(content: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MalformedError(f"{what} is no JSON object")
    return found


def _base64(text: object) -> bytes:
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise MalformedError("a part of it is not base64")


def _lines_of(bundle: _Bundle, asked: Asked) -> list[AllowedSigner]:
    """Return the lines of the key that a bundle names."""
    found = []
    for line in asked.signers.signers:
        if line.key_type.startswith(_ECDSA):
            try:
                if _hint(line.key) == bundle.hint:
                    found.append(line)
            except ValueError:  # the key of the line is none
                continue
    if not found:
        raise NotValidError(
            f"{asked.signers.path} has no ECDSA key whose PEM has the SHA-256 {bundle.hint:.64}",
            "if you know whose key it is, turn its PEM into a line: ssh-keygen -i -m PKCS8 -f KEY.pem",
        )
    return found


def _digest_in(payload: bytes) -> str:
    """Return the SHA-256 of the one file that a statement is about.

    Raises:
        MalformedError: if it is about something else.
    """
    statement = _json(payload, "its statement")
    if (statement.get("_type"), statement.get("predicateType")) != (_STATEMENT, PREDICATE):
        raise MalformedError("its statement is none of OpenSSF model signing 1.0")
    try:
        (subject,) = statement["subject"]
        (resource,) = statement["predicate"]["resources"]
        name, algorithm, digest = (resource[key] for key in ("name", "algorithm", "digest"))
        is_sound = bool(subject["digest"]["sha256"] == _root(digest))
    except (KeyError, TypeError, ValueError):
        raise MalformedError("its statement is not about one file") from None
    if name != _THE_FILE or algorithm != "sha256" or not is_sound:
        raise MalformedError("its statement is not about one file by its SHA-256")
    return str(digest)
