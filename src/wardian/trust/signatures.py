"""Whether a case is signed, and by whom: the signatures beside it, the seal, and a file of allowed signers.

Everything is read once: the bytes of the signatures that were checked are the ones that are told about, and
the seal is that of the open archive, which covers all that is used of it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from wardian.archive import ArchiveReader
from wardian.errors import Problem, SignatureError
from wardian.reading.opening import ArchiveSource, open_archive
from wardian.trust.allowed_signers import AllowedSigners
from wardian.trust.beside import read_signature_file
from wardian.trust.checks import Asked, NotValidError, Signature, SignatureCheck
from wardian.trust.keys import is_signed_by
from wardian.trust.sshsig import NAMESPACE, SshSignature, read_blocks, signed_data
from wardian.trust.wire import MalformedError

__all__ = [
    "Format",
    "SUFFIXES",
    "Signature",
    "SignatureCheck",
    "check_content",
    "check_signatures",
    "claimed_signatures",
    "seal_of",
    "verify_signatures",
]


Format = Literal["ssh", "oms"]
"""The forms of signatures: of the seal by SSH keys, or a bundle of OpenSSF model signing of the file."""

SUFFIXES: Mapping[Format, str] = {"ssh": ".sig", "oms": ".oms.json"}
"""Endings of the names of their files, after that of the case."""


def seal_of(archive: ArchiveReader) -> bytes:
    """Return what is signed: the content of the record `.wardian/seal` (docs/reference/format.md, 3.3).

    Raises:
        SignatureError: if there is none, in an archive of torch.package.
    """
    if archive.digest is None:
        raise SignatureError(
            f"{archive.label} is an archive of torch.package: it has no seal that covers its content, and so"
            " cannot be signed; pack the object with wardian.pack",
            path=archive.label,
            problems=(),
        )
    return f"{archive.digest}\n".encode()


def claimed_signatures(content: bytes) -> tuple[Signature, ...]:
    """Return what a `.sig` file says of itself. Nothing is checked, so anybody may have written it.

    Raises:
        MalformedError: if it is no such file.
    """
    return tuple(_claim(SshSignature.of(blob)) for blob in read_blocks(content))


def check_content(
    seal: bytes,
    content: bytes,
    signers: AllowedSigners,
    *,
    identity: str | None = None,
    now: datetime | None = None,
) -> SignatureCheck:
    """Check the content of a `.sig` file.

    Args:
        seal: What must be signed.
        content: The file.
        signers: Whose keys count.
        identity: Who has to have signed, compared with the names in *signers* as `ssh-keygen -I` does; None
            for anybody in it.
        now: When the keys must be valid; None for the present.

    Raises:
        SigningError: if `cryptography` is not installed.
    """
    asked = Asked(signers=signers, identity=identity, now=now or datetime.now(UTC))
    found: list[Signature] = []
    problems = list(signers.problems)
    try:
        blobs = list(dict.fromkeys(read_blocks(content)))
    except MalformedError as error:
        return SignatureCheck(
            signatures=(), problems=(*problems, Problem(f"the signatures cannot be read: {error}", ""))
        )
    for number, blob in enumerate(blobs, 1):
        try:
            signature = SshSignature.of(blob)
        except MalformedError as error:
            problems.append(Problem(f"signature {number} cannot be read: {error}", ""))
            continue
        claim = _claim(signature)
        try:
            found.append(claim.by(_signer_of(signature, seal, asked)))
        except NotValidError as error:
            found.append(claim)
            problems.append(
                Problem(
                    f"the signature by {claim.key} {claim.fingerprint} does not count: {error}", error.fix
                )
            )
    return SignatureCheck(signatures=tuple(found), problems=tuple(problems))


def _claim(signature: SshSignature) -> Signature:
    return Signature(fingerprint=signature.fingerprint, key=signature.key_type, namespace=signature.namespace)


def _signer_of(signature: SshSignature, seal: bytes, asked: Asked) -> str:
    """Return whose signature it is.

    Raises:
        NotValidError: if it does not count.
    """
    if signature.namespace != NAMESPACE:
        raise NotValidError(f"it is for {signature.namespace!r:.60}, and not for {NAMESPACE!r}")
    lines = asked.lines_of(signature.key, signature.key_type)
    try:
        data = signed_data(seal, hashed=signature.hash, reserved=signature.reserved)
        is_valid = is_signed_by(signature.key, signature.algorithm, signature.value, data)
    except MalformedError as error:
        raise NotValidError(str(error)) from None
    if not is_valid:
        raise NotValidError("it is not of this case; the case is another one, or the signature was altered")
    return asked.signer_of(lines, NAMESPACE)


def check_signatures(
    archive: ArchiveReader,
    source: ArchiveSource,
    signers: str | os.PathLike[str] | AllowedSigners,
    *,
    signature: str | os.PathLike[str] | bytes | None = None,
    identity: str | None = None,
    format: Format = "ssh",
    storage_options: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> SignatureCheck:
    """Check the signatures of an open archive. Nothing is raised because they are missing or wrong.

    Args:
        archive: The open archive: its seal is what must be signed.
        source: What it was opened by; the signatures are beside it, at the same name with `.sig`.
        signers: Whose keys count: the path of a file of allowed signers, or one that was read.
        signature: The file or URL with the signatures, or its content, if it is not beside the case.
        identity: Who has to have signed, as for `ssh-keygen -I`; None for anybody in *signers*.
        format: "ssh" for signatures of the seal; "oms" for a bundle of OpenSSF model signing, for which the
            whole file is read.
        storage_options: For a URL, what fsspec's file system for it takes.
        now: When the keys must be valid; None for the present.

    Returns:
        All signatures and all problems; `SignatureCheck.valid` has those that count.

    Raises:
        OSError: if *signers*, or a given *signature*, cannot be read.
        ValueError: if *signers* is larger than any such file.
        SignatureError: if the archive is of torch.package, which has no seal.
        SigningError: if `cryptography` is not installed.
    """
    if format == "ssh":
        seal = seal_of(archive)
    allowed = signers if isinstance(signers, AllowedSigners) else AllowedSigners.read(Path(signers))
    try:
        content = read_signature_file(source, signature, storage_options or {}, SUFFIXES[format])
    except FileNotFoundError as error:
        if signature is not None:
            raise
        problem = Problem(
            f"there are no signatures: {error.filename}: {error.strerror}",
            f"wardian sign {shlex.quote(archive.label)} --key KEY"
            + (" --format oms" if format == "oms" else ""),
        )
        return SignatureCheck(signatures=(), problems=(*allowed.problems, problem))
    if format == "ssh":
        return check_content(seal, content, allowed, identity=identity, now=now)
    from wardian.trust.oms import check_bundle

    asked = Asked(signers=allowed, identity=identity, now=now or datetime.now(UTC))
    return check_bundle(content, archive.sha256, asked)


def verify_signatures(
    path: ArchiveSource,
    *,
    signers: str | os.PathLike[str],
    identity: str | None = None,
    signature: str | os.PathLike[str] | bytes | None = None,
    format: Format = "ssh",
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[Signature, ...]:
    """Find out who signed a case; refuse it if nobody did whose signature counts.

    Nothing of the case is run, and nothing but its manifest is hashed: the seal, which is signed, covers the
    rest, and that is compared with it when it is used. `Case.verify` compares all at once.

    Args:
        path: The case, its URL, its content as bytes or another buffer, or an open binary file.
        signers: A file of allowed signers, as `ssh-keygen` and git read it: lines of names and public keys,
            with `valid-after`, `valid-before` and `namespaces` where they are wanted.
        identity: Who has to have signed, such as `alice@example.com`; None for anybody in *signers*.
        signature: The file or URL with the signatures, or its content, if it is not `path` with `.sig` (of a
            bundle `.oms.json`).
        format: "ssh" for signatures of the seal; "oms" for a bundle of OpenSSF model signing, by a key.
            The whole file is hashed then, and its key is an ECDSA key of *signers*.
        digest: The digest that the case must have, as for `open`.
        storage_options: For a URL, as for `open`.

    Returns:
        The signatures that count, at least one.

    Raises:
        SignatureError: if there is none; `problems` says why for each.
        SigningError: if `cryptography` is not installed: it comes with `wardian[sign]`.
        CaseError, OSError: as for `open`; also if *signers* cannot be read.
    """
    with open_archive(path, digest=digest, storage_options=storage_options) as archive:
        checked = check_signatures(
            archive,
            path,
            signers,
            signature=signature,
            identity=identity,
            format=format,
            storage_options=storage_options,
        )
        label = archive.label
    if not checked.valid:
        by = f"by {identity}" if identity is not None else f"by anybody whom {os.fspath(signers)} allows"
        raise SignatureError(f"{label} is not signed {by}", path=label, problems=checked.problems)
    return checked.valid
