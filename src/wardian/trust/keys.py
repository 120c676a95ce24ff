"""Public keys of SSH, and whether a signature is theirs: the rows of a table, computed by `cryptography`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from wardian.errors import SigningError
from wardian.trust.wire import Fields, MalformedError, string

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = ["KEY_TYPES", "KeyType", "is_signed_by", "require_cryptography"]

_SMALLEST_RSA, _LARGEST_RSA = 2048, 16384
"""Bits. OpenSSH reads no larger ones."""

_CURVES = {
    "nistp256": ("SECP256R1", "SHA256"),
    "nistp384": ("SECP384R1", "SHA384"),
    "nistp521": ("SECP521R1", "SHA512"),
}
"""Names of RFC 5656 → the curve, and the hash that goes with it."""

_RSA_HASHES = {"rsa-sha2-512": "SHA512", "rsa-sha2-256": "SHA256"}
"""Not `ssh-rsa`, whose hash is SHA-1."""


def require_cryptography() -> None:
    """Refuse to go on where the library is not installed.

    Raises:
        SigningError: with the line that installs it.
    """
    try:
        import cryptography.exceptions  # noqa: F401
    except ModuleNotFoundError:
        raise SigningError(
            "signatures need the library cryptography, which is not installed\n"
            "  fix: pip install 'wardian[sign]'"
        ) from None


def is_signed_by(key: bytes, algorithm: str, value: bytes, data: bytes) -> bool:
    """Tell whether a signature of *data* was made by the owner of a key.

    Args:
        key: The public key, in the form of RFC 4253.
        algorithm: What the signature says it is.
        value: The signature proper.
        data: What is signed.

    Raises:
        MalformedError: if the key or the signature is none, of a type that is not known, or too weak.
        SigningError: if `cryptography` is not installed.
    """
    require_cryptography()
    from cryptography.exceptions import InvalidSignature

    fields = Fields(key)
    name = fields.text()
    row = KEY_TYPES.get(name)
    if row is None:
        raise MalformedError(f"keys of the type {name!r:.60} are not supported")
    if algorithm not in row.algorithms:
        raise MalformedError(f"a key of the type {name} does not sign as {algorithm!r:.40}")
    found = row.read(fields)
    application = fields.string() if row.is_on_device else b""
    fields.end()
    signature = Fields(value)
    proper = signature.string()
    if row.is_on_device:
        # The device adds flags (somebody touched it) and a counter, and signs them with a hash of the rest.
        added = signature.take(5)
        data = hashlib.sha256(application).digest() + added + hashlib.sha256(data).digest()
    signature.end()
    try:
        row.verify(found, algorithm, proper, data)
    except InvalidSignature:
        return False
    return True


def _read_ed25519(fields: Fields) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    data = fields.string()
    if len(data) != 32:
        raise MalformedError("the key is not one of Ed25519")
    return Ed25519PublicKey.from_public_bytes(data)


def _verify_ed25519(key: Any, algorithm: str, value: bytes, data: bytes) -> None:
    key.verify(value, data)


def _sign_ed25519(key: Any, data: bytes) -> bytes:
    return bytes(key.sign(data))


def _curve(name: str) -> tuple[EllipticCurve, HashAlgorithm]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    curve, hashed = _CURVES[name]
    return getattr(ec, curve)(), getattr(hashes, hashed)()


def _read_ecdsa(curve: str) -> Callable[[Fields], Any]:
    def read(fields: Fields) -> Any:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

        if fields.text() != curve:
            raise MalformedError("the key is of another curve than its type says")
        point = fields.string()
        if point[:1] != b"\x04":
            raise MalformedError("the point of the key is not written in full")
        try:
            return EllipticCurvePublicKey.from_encoded_point(_curve(curve)[0], point)
        except ValueError:
            raise MalformedError("the point of the key is not on its curve") from None

    return read


def _verify_ecdsa(curve: str) -> Callable[[Any, str, bytes, bytes], None]:
    def verify(key: Any, algorithm: str, value: bytes, data: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        numbers = Fields(value)
        r, s = numbers.positive(), numbers.positive()
        numbers.end()
        cast("EllipticCurvePublicKey", key).verify(encode_dss_signature(r, s), data, ECDSA(_curve(curve)[1]))

    return verify


def _sign_ecdsa(curve: str) -> Callable[[Any, bytes], bytes]:
    def sign(key: Any, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        numbers = decode_dss_signature(key.sign(data, ECDSA(_curve(curve)[1])))
        return b"".join(string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers)

    return sign


def _read_rsa(fields: Fields) -> Any:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    exponent, modulus = fields.positive(), fields.positive()
    if not _SMALLEST_RSA <= modulus.bit_length() <= _LARGEST_RSA:
        raise MalformedError(
            f"an RSA key has {_SMALLEST_RSA} to {_LARGEST_RSA} bits, this {modulus.bit_length()}"
        )
    if exponent.bit_length() > 64:
        raise MalformedError("the exponent of the RSA key has more than 64 bits")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise MalformedError("the numbers of the RSA key fit no key") from None


def _verify_rsa(key: Any, algorithm: str, value: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    size = (key.key_size + 7) // 8
    if len(value) > size:
        raise MalformedError("the signature is longer than the key")
    # Leading zeros may be left out (RFC 4253, 6.6, is older than RFC 8332, and OpenSSH reads both).
    key.verify(value.rjust(size, b"\0"), data, PKCS1v15(), getattr(hashes, _RSA_HASHES[algorithm])())


def _sign_rsa(key: Any, data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    return bytes(key.sign(data, PKCS1v15(), hashes.SHA512()))


def _no_file(key: Any, data: bytes) -> bytes:
    raise MalformedError("only its device signs")


@dataclass(frozen=True, slots=True)
class KeyType:
    """A type of public keys."""

    read: Callable[[Fields], Any]
    """Returns the key of `cryptography` that the fields after the name make."""
    verify: Callable[[Any, str, bytes, bytes], None]
    """Raises `InvalidSignature`; takes the key, the algorithm, the signature proper and what is signed."""
    sign: Callable[[Any, bytes], bytes]
    """Takes a private key, and returns the signature proper, of the first algorithm."""
    algorithms: tuple[str, ...]
    """Names that a signature may have."""
    is_on_device: bool = False
    """A FIDO key: never in a file, and its signatures have two more fields."""


KEY_TYPES: Mapping[str, KeyType] = {
    "ssh-ed25519": KeyType(_read_ed25519, _verify_ed25519, _sign_ed25519, ("ssh-ed25519",)),
    **{
        (name := f"ecdsa-sha2-{curve}"): KeyType(
            _read_ecdsa(curve), _verify_ecdsa(curve), _sign_ecdsa(curve), (name,)
        )
        for curve in _CURVES
    },
    "ssh-rsa": KeyType(_read_rsa, _verify_rsa, _sign_rsa, tuple(_RSA_HASHES)),
    **{
        name: KeyType(read, verify, _no_file, (name,), is_on_device=True)
        for name, read, verify in (
            ("sk-ssh-ed25519@openssh.com", _read_ed25519, _verify_ed25519),
            ("sk-ecdsa-sha2-nistp256@openssh.com", _read_ecdsa("nistp256"), _verify_ecdsa("nistp256")),
        )
    },
}
"""By the name that a key begins with."""
