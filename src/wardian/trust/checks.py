"""The result of a check of signatures, whatever their form, and the signers whose signatures count."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from wardian.errors import Problem
from wardian.trust.allowed_signers import AllowedSigner, AllowedSigners

__all__ = ["Asked", "NotValidError", "Signature", "SignatureCheck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature of a case.

    Nothing says when it was made: no form that Wardian reads has a time that could be believed.
    """

    fingerprint: str
    """Fingerprint of the public key, as `ssh-keygen -l` shows it: `SHA256:…`."""
    key: str
    """The type of the key, such as `ssh-ed25519`."""
    namespace: str
    """The purpose of the signature: `wardian-case`, or for an OMS bundle the type of its statement."""
    signer: str | None = None
    """Whose key it is by the file of allowed signers, in its words (`alice@example.com`). None if the
    signature was not checked, or does not count."""

    def __str__(self) -> str:
        return f"{self.signer or 'unverified'} ({self.key} {self.fingerprint})"

    def by(self, signer: str) -> Self:
        """Return the same signature as one that counts, made by *signer*."""
        return replace(self, signer=signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """The result of a check of signatures."""

    signatures: tuple[Signature, ...]
    """All that the file of signatures has, in its order; `signer` is None for those that do not count."""
    problems: tuple[Problem, ...]
    """Why those do not count, and which lines of the file of allowed signers cannot be used."""

    @property
    def valid(self) -> tuple[Signature, ...]:
        """The signatures that count: of this case, by keys that are allowed."""
        return tuple(signature for signature in self.signatures if signature.signer is not None)


class NotValidError(Exception):
    """A signature does not count; the message is a phrase.

    Attributes:
        fix: What would let it count; empty if nothing is known.
    """

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose signatures count."""

    signers: AllowedSigners
    identity: str | None
    """Who has to have signed; None for anybody in *signers*."""
    now: datetime
    """When the keys must be valid."""

    def lines_of(self, key: bytes, key_type: str) -> tuple[AllowedSigner, ...]:
        """Return the lines of a key.

        Raises:
            NotValidError: if there is none.
        """
        lines = self.signers.of_key(key)
        if not lines:
            encoded = base64.b64encode(key).decode()
            raise NotValidError(
                f"{self.signers.path} does not have the key",
                f"if you know whose it is, add a line to it: NAME {key_type} {encoded}",
            )
        return lines

    def signer_of(self, lines: Sequence[AllowedSigner], namespace: str) -> str:
        """Return whose valid signature it is, by the first line that allows it.

        Raises:
            NotValidError: if none does.
        """
        refusals = []
        for line in lines:
            why = line.refusal(namespace=namespace, identity=self.identity, now=self.now)
            if why is None:
                return line.principals
            refusals.append(f"{self.signers.path}:{line.line}: {why}")
        raise NotValidError("; ".join(refusals))
