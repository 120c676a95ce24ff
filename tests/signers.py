"""Keys for tests of signatures, files of allowed signers, and signatures that no tool would make."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from wardian.trust.keys import KEY_TYPES
from wardian.trust.sshsig import NAMESPACE, SshSignature, signed_data, to_text
from wardian.trust.wire import string, uint32

KINDS: Mapping[str, Callable[[], Any]] = {
    "ssh-ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa-sha2-nistp256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-sha2-nistp384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-sha2-nistp521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ssh-rsa": lambda: rsa.generate_private_key(65537, 2048),
}


def make_key(path: Path, kind: str = "ssh-ed25519") -> Path:
    """Write a private key to *path*, and its public half to `<path>.pub`."""
    private = KINDS[kind]()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)  # ssh-keygen uses no key that others can read
    path.with_name(f"{path.name}.pub").write_text(public_line(private) + "\n")
    return path


def public_line(private: Any) -> str:
    text: bytes = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return text.decode()


def line_of(key: Path) -> str:
    """Return the public half of a key, as a line of allowed signers ends with it."""
    return key.with_name(f"{key.name}.pub").read_text().strip()


def allow(path: Path, keys: Mapping[str, Path]) -> Path:
    """Write a file of allowed signers: names, with options if there are any → key."""
    path.write_text("".join(f"{names} {line_of(key)}\n" for names, key in keys.items()))
    return path


def signature_of(
    key: Path,
    seal: bytes,
    *,
    namespace: str = NAMESPACE,
    hashed: str = "sha512",
    algorithm: str | None = None,
    value: bytes | None = None,
    data: bytes | None = None,
) -> SshSignature:
    """Sign a seal with a key, but for what the arguments say otherwise."""
    private = load_ssh_private_key(key.read_bytes(), None)
    kind, encoded = public_line(private).split()
    row = KEY_TYPES[kind]
    if data is None:
        data = signed_data(seal, hashed=hashed, namespace=namespace)
    proper = string(row.sign(private, data)) if value is None else value
    return SshSignature(
        base64.b64decode(encoded),
        kind,
        namespace,
        b"",
        hashed,
        row.algorithms[0] if algorithm is None else algorithm,
        proper,
    )


def text_of(*signatures: SshSignature) -> bytes:
    """Return the content of a file of signatures."""
    return b"".join(to_text(signature.to_blob()) for signature in signatures)


def device_signature(
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    seal: bytes,
    *,
    application: bytes = b"ssh:",
    flags: int = 1,
    counter: int = 7,
) -> SshSignature:
    """Sign a seal as a FIDO device does, with a key that is on none."""
    plain = public_line(private).split()
    fields = base64.b64decode(plain[1])[4 + len(plain[0]) :]
    kind = f"sk-{plain[0]}@openssh.com"
    key = string(kind.encode()) + fields + string(application)
    added = bytes([flags]) + uint32(counter)
    message = signed_data(seal, hashed="sha512")
    data = hashlib.sha256(application).digest() + added + hashlib.sha256(message).digest()
    value = string(KEY_TYPES[plain[0]].sign(private, data)) + added
    return SshSignature(key, kind, NAMESPACE, b"", "sha512", kind, value)
