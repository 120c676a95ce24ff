"""Signing the seal of a case with an SSH key, by `ssh-keygen` where no library can use the key."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wardian.archive.remote.urls import is_url
from wardian.archive.replacing import ReplacingFile
from wardian.errors import SigningError
from wardian.reading.opening import ArchiveSource, open_archive
from wardian.trust.beside import SUFFIX, name_beside, read_signature_file
from wardian.trust.keys import KEY_TYPES, is_signed_by, require_cryptography
from wardian.trust.signatures import SUFFIXES, Format, seal_of
from wardian.trust.sshsig import NAMESPACE, SshSignature, read_blocks, signed_data, to_text
from wardian.trust.wire import MalformedError, string

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["sign", "sign_seal", "write_signature"]

_HASH = "sha512"
_LARGEST_KEY = 1 << 20
"""Bytes of a file of a key that is read."""


def sign(
    path: ArchiveSource,
    *,
    key: str | os.PathLike[str],
    format: Format = "ssh",
    output: str | os.PathLike[str] | None = None,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Path:
    """Sign a case with an SSH key. The case is only read, and nothing but its manifest is hashed.

    The seal is signed, which covers every byte of the case. Signatures of it by others that are in the file
    already stay; those of another content of the case go.

    Args:
        path: The case, its URL, its content as bytes or another buffer, or an open binary file.
        key: A private key, or a public key (`.pub`) whose private half an agent or a device has. `ssh-keygen`
            signs with those, and with a key that has a passphrase, for which it asks.
        format: "ssh" for an SSH signature of the seal. "oms" for a bundle of OpenSSF model signing 1.0, which
            some platforms ask for: the whole file is hashed, an ECDSA key in a file without passphrase
            signs, and the bundle has one signature.
        output: The file of signatures. If it is left out, `path` with `.sig`, or for a bundle with
            `.oms.json`; of a URL in the current folder.
        digest: The digest that the case must have, as for `open`.
        storage_options: For a URL, as for `open`.

    Returns:
        The file of signatures, to be put beside the case.

    Raises:
        SigningError: if the key cannot be used; the message says why, and what to do.
        SignatureError: if it is an archive of torch.package, which has no seal; a bundle can be made of it.
        CaseError, OSError: as for `open`; also if the key cannot be read, or the file not be written.
    """
    require_cryptography()
    if format not in SUFFIXES:
        raise ValueError(f'format is "ssh" or "oms", not {format!r:.40}')
    target = _target(path, output, SUFFIXES[format])
    with open_archive(path, digest=digest, storage_options=storage_options) as archive:
        if format == "oms":
            name = target.name.removesuffix(SUFFIXES[format])
            _replace(target, _bundle(Path(key), name, archive.sha256))
            return target
        seal = seal_of(archive)
    write_signature(target, seal, sign_seal(seal, Path(key)))
    return target


def _bundle(key: Path, name: str, digest: Callable[[], str]) -> bytes:
    from wardian.trust.oms import make_bundle

    private = _private_key(_content(key), key)
    if private is None:
        raise SigningError(
            f"{key} has a passphrase or is on a device: bundles are signed by ECDSA keys in files without"
            " one\n  fix: ssh-keygen -t ecdsa -b 256 -f KEY"
        )
    public, _ = _public_half(private)
    return make_bundle(private, public, name, digest)


def _replace(target: Path, content: bytes) -> None:
    with ReplacingFile(target) as file:
        file.write(content)
        file.publish()


def _target(source: ArchiveSource, output: str | os.PathLike[str] | None, suffix: str) -> Path:
    if output is not None:
        return Path(output)
    if is_url(source):
        return Path(Path(urlsplit(source.rpartition("::")[2]).path).name + suffix)
    place = name_beside(source, suffix)
    if place is None:
        raise SigningError("content in memory has no name; say where the signatures go: output=")
    return Path(place)


def write_signature(target: Path, seal: bytes, made: SshSignature) -> None:
    """Add a signature to a file of signatures, or make the file. It is replaced in one step.

    Raises:
        OSError: if it cannot be read or written.
        SigningError: if something else is there.
    """
    try:
        content = read_signature_file("", target, {})
    except FileNotFoundError:
        content = b""
    try:
        there = read_blocks(content) if content.strip() else []
    except MalformedError as error:
        raise SigningError(
            f"{target} is there, and cannot be added to: {error}\n"
            "  fix: write to another file: output=..., or wardian sign -o FILE"
        ) from None
    kept = [blob for blob in there if _is_by_another(blob, seal, made)]
    _replace(target, b"".join(map(to_text, [*kept, made.to_blob()])))


def _is_by_another(blob: bytes, seal: bytes, made: SshSignature) -> bool:
    """Tell whether a signature is of the same seal, and of another key or for something else."""
    try:
        other = SshSignature.of(blob)
        return (other.key, other.namespace) != (made.key, made.namespace) and _is_of(other, seal)
    except MalformedError:
        return False


def _is_of(signature: SshSignature, seal: bytes) -> bool:
    data = signed_data(
        seal, hashed=signature.hash, reserved=signature.reserved, namespace=signature.namespace
    )
    return is_signed_by(signature.key, signature.algorithm, signature.value, data)


def sign_seal(seal: bytes, key: Path) -> SshSignature:
    """Return a signature of a seal, which was checked.

    Raises:
        OSError: if the key cannot be read.
        SigningError: if it cannot be used.
    """
    content = _content(key)
    private = None if _is_public(content) else _private_key(content, key)
    made = _with_ssh_keygen(seal, key) if private is None else _with_library(seal, private)
    try:
        if made.namespace == NAMESPACE and _is_of(made, seal):
            return made
        why = "its signature is of something else"
    except MalformedError as error:
        why = str(error)
    raise SigningError(f"{key} cannot be used: {why}")


def _content(key: Path) -> bytes:
    with key.open("rb") as file:
        return file.read(_LARGEST_KEY)


def _is_public(content: bytes) -> bool:
    return content.split(b" ", 1)[0].decode("ascii", "replace") in KEY_TYPES


def _private_key(content: bytes, key: Path) -> PrivateKeyTypes | None:
    """Return a key as `cryptography` has it, None if only `ssh-keygen` can use it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in content else load_pem_private_key
    try:
        return load(content, None)
    except (TypeError, UnsupportedAlgorithm):  # it has a passphrase; it is on a device
        return None
    except ValueError:
        raise SigningError(
            f"{key} is no key: give a private key as ssh-keygen makes it, or the .pub of one in an agent"
        ) from None


def _with_library(seal: bytes, private: PrivateKeyTypes) -> SshSignature:
    public, name = _public_half(private)
    row = KEY_TYPES[name]
    value = string(row.sign(private, signed_data(seal, hashed=_HASH)))
    return SshSignature(public, name, NAMESPACE, b"", _HASH, row.algorithms[0], value)


def _public_half(private: PrivateKeyTypes) -> tuple[bytes, str]:
    """Return the public key in the form of RFC 4253, and its type, which is one that is supported.

    Raises:
        SigningError: if it is of another type.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        text = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        name, encoded = text.decode().split(" ")[:2]
        if name in KEY_TYPES:
            return base64.b64decode(encoded), name
    except ValueError:  # the form has no such type
        pass
    raise SigningError("keys of this type are not supported\n  fix: ssh-keygen -t ed25519 -f KEY")


def _with_ssh_keygen(seal: bytes, key: Path) -> SshSignature:
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("ssh-keygen")
    if program is None:
        raise SigningError(
            f"{key} has a passphrase, or its private half is in an agent or a device: only ssh-keygen can"
            " sign with it, which is not installed\n"
            "  fix: install OpenSSH, or use a private key without a passphrase"
        )
    asks = sys.stderr is not None and sys.stderr.isatty()
    with tempfile.TemporaryDirectory(prefix="wardian-") as folder:
        # From a file: where standard input is the message, ssh-keygen does not ask for a passphrase.
        message = Path(folder, "seal")
        message.write_bytes(seal)
        command = [program, "-q", "-Y", "sign", "-f", str(key.absolute()), "-n", NAMESPACE, str(message)]
        done = subprocess.run(command, stderr=None if asks else subprocess.PIPE, text=True, check=False)
        try:
            return SshSignature.of(read_blocks(Path(f"{message}{SUFFIX}").read_bytes())[0])
        except (FileNotFoundError, MalformedError):
            told = (done.stderr or "").strip() or f"it ended with {done.returncode}"
            raise SigningError(
                f"ssh-keygen cannot sign with {key}: {told}\n"
                "  fix: put the private key into an agent, which asks once for its passphrase: ssh-add KEY"
            ) from None
