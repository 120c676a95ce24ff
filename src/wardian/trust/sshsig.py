"""SSH signatures as OpenSSH writes them (its PROTOCOL.sshsig): what is signed, and the text form.

Nothing here computes a signature; `wardian.trust.keys` does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Self

from wardian.trust.wire import Fields, MalformedError, string, uint32

__all__ = ["NAMESPACE", "SshSignature", "fingerprint_of", "read_blocks", "signed_data", "to_text"]

NAMESPACE = "wardian-case"
"""The purpose of a signature: one that was made for another, such as a commit, is none of a case."""

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
"""Those that PROTOCOL.sshsig allows."""
_BEGIN = b"-----BEGIN SSH SIGNATURE-----"
_END = b"-----END SSH SIGNATURE-----"
_BLOCK = re.compile(rb"\s*" + _BEGIN + rb"\r?\n([A-Za-z0-9+/=\r\n]*?)\r?\n" + _END + rb"(?=\s|\Z)")
_WIDTH = 70
"""Characters of a line, as ssh-keygen writes them."""


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A signature as it says itself; nothing of it is checked."""

    key: bytes
    """The public key, in the form of RFC 4253."""
    key_type: str
    """Such as `ssh-ed25519`."""
    namespace: str
    reserved: bytes
    """Empty so far. It is signed, and has no meaning."""
    hash: str
    algorithm: str
    """Such as `rsa-sha2-512`."""
    value: bytes
    """The signature proper, and for a key on a device what the device adds."""

    @property
    def fingerprint(self) -> str:
        """The name of the key, as `ssh-keygen -l` shows it."""
        return fingerprint_of(self.key)

    @classmethod
    def of(cls, blob: bytes) -> Self:
        """Read the bytes of a signature.

        Raises:
            MalformedError: if they are none, or not of version 1.
        """
        fields = Fields(blob)
        if fields.take(min(len(_MAGIC), len(blob))) != _MAGIC:
            raise MalformedError("it does not begin as an SSH signature")
        if fields.uint32() != _VERSION:
            raise MalformedError("it is of another version of SSH signatures than 1")
        key, namespace = fields.string(), fields.text()
        reserved, hashed, signature = fields.string(), fields.text(), Fields(fields.string())
        fields.end()
        algorithm = signature.text()
        value = signature.rest()
        return cls(key, Fields(key).text(), namespace, reserved, hashed, algorithm, value)

    def to_blob(self) -> bytes:
        """Return the bytes of the signature."""
        return b"".join(
            (
                _MAGIC,
                uint32(_VERSION),
                string(self.key),
                string(self.namespace.encode()),
                string(self.reserved),
                string(self.hash.encode()),
                string(string(self.algorithm.encode()) + self.value),
            )
        )


def signed_data(message: bytes, *, hashed: str, reserved: bytes = b"", namespace: str = NAMESPACE) -> bytes:
    """Return what a key signs in place of a message.

    Raises:
        MalformedError: if there is no such hash.
    """
    if hashed not in _HASHES:
        raise MalformedError(f"it uses the hash {hashed!r:.40}; SSH signatures have {' or '.join(_HASHES)}")
    digest = _HASHES[hashed](message).digest()
    parts = (namespace.encode(), reserved, hashed.encode(), digest)
    return _MAGIC + b"".join(map(string, parts))


def fingerprint_of(key: bytes) -> str:
    """Return the name of a public key.

    >>> fingerprint_of(b"")
    'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def read_blocks(text: bytes) -> list[bytes]:
    """Return the bytes of the signatures in a `.sig` file, which has one block of text for each.

    Raises:
        MalformedError: if there is none, or anything else.
    """
    blobs: list[bytes] = []
    place = 0
    while block := _BLOCK.match(text, place):
        place = block.end()
        try:
            blobs.append(base64.b64decode(block[1].translate(None, b"\r\n"), validate=True))
        except binascii.Error:
            raise MalformedError(f"signature {len(blobs) + 1} in it is not base64") from None
    if text[place:].strip():
        what = "something that is no signature follows" if blobs else "it is no file of SSH signatures"
        raise MalformedError(what)
    if not blobs:
        raise MalformedError("it is empty")
    return blobs


def to_text(blob: bytes) -> bytes:
    """Return the text form of a signature, one block."""
    text = base64.b64encode(blob)
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return b"\n".join([_BEGIN, *lines, _END, b""])
