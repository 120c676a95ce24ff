"""Signatures on the command line: `wardian sign`, and what `info` and `verify` tell of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from wardian.archive import ArchiveReader
from wardian.archive.remote.urls import is_url
from wardian.cli.opening import name_of
from wardian.cli.output import Line, echo, examples
from wardian.errors import Problem, SignatureError

if TYPE_CHECKING:  # signatures are read where they are asked for
    from wardian.trust.signatures import Format, Signature

__all__ = ["COMMANDS", "Found", "format_option", "sign", "signers_option"]

signers_option = click.option(
    "--signers",
    type=click.Path(exists=True, dir_okay=False),
    help="A file of allowed signers, as ssh-keygen and git have it.",
)


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["ssh", "oms"]),
    default="ssh",
    show_default=True,
    help="An SSH signature of the seal, or a bundle of OpenSSF model signing.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Signatures of a file, for a page or as data."""

    signatures: tuple[Signature, ...] | None = None
    """None if nobody has looked."""
    problems: tuple[Problem, ...] = ()
    checked: bool = False

    @classmethod
    def claimed(cls, file: str) -> Self:
        """Look for the signatures beside a file, and check nothing.

        Of a URL they are not asked for, which would take a request.
        """
        if is_url(file) or not os.path.lexists(f"{file}.sig"):
            return cls(signatures=None if is_url(file) else ())
        from wardian.trust.beside import read_signature_file
        from wardian.trust.signatures import claimed_signatures
        from wardian.trust.wire import MalformedError

        try:
            return cls(signatures=claimed_signatures(read_signature_file(file, None, {})))
        except FileNotFoundError:
            return cls(signatures=())
        except (MalformedError, OSError) as error:
            return cls(signatures=(), problems=(Problem(f"{file}.sig cannot be read: {error}", ""),))

    @classmethod
    def of(
        cls,
        file: str,
        archive: ArchiveReader,
        signers: str,
        *,
        identity: str | None = None,
        signature: str | None = None,
        form: Format = "ssh",
    ) -> Self:
        """Check the signatures of an open archive, as `check_signatures`; what has no seal has none."""
        from wardian.trust.signatures import check_signatures

        try:
            checked = check_signatures(
                archive, file, signers, identity=identity, signature=signature, format=form
            )
        except SignatureError as error:
            return cls(signatures=(), problems=error.problems or (Problem(str(error), ""),), checked=True)
        return cls(signatures=checked.signatures, problems=checked.problems, checked=True)

    @property
    def valid(self) -> tuple[Signature, ...]:
        """Those that count; none if nothing was checked."""
        return tuple(signature for signature in self.signatures or () if signature.signer is not None)

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as JSON-able data; docs/reference/cli.md has the keys."""
        signatures = None if self.signatures is None else [asdict(signature) for signature in self.signatures]
        return {
            "signatures": signatures,
            "signature_problems": [{"what": problem.what, "fix": problem.fix} for problem in self.problems],
        }

    def problem_lines(self, indent: str) -> Iterator[Line | str]:
        """Yield what is wrong, each problem with its fix below."""
        for problem in self.problems:
            yield Line(problem.what, indent)
            if problem.fix:
                yield f"{indent}  fix: {problem.fix}"


@click.command(
    short_help="Sign a case with an SSH key.",
    epilog=examples("wardian sign resnet18.case --key ~/.ssh/id_ed25519"),
)
@click.argument("file", type=click.Path())
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A private key, or the .pub of one that an agent or a device has.",
)
@format_option
@click.option("-o", "--output", type=click.Path(), help="The file; else FILE.sig, or FILE.oms.json.")
def sign(file: str, key: str, form: Format, output: str | None) -> None:
    """Sign a case with an SSH key: write FILE.sig, or add to it. The case is only read.

    The seal is signed, which covers every byte of the case. ssh-keygen signs with a key that has a
    passphrase, or is in an agent or on a device.

    With --format oms, write a bundle of OpenSSF model signing of the whole file in its place, for platforms
    that ask for one; an ECDSA key signs it.
    """
    import wardian
    from wardian.trust.beside import read_signature_file
    from wardian.trust.signatures import claimed_signatures

    place = wardian.sign(file, key=key, format=form, output=output)
    if form == "oms":
        echo(f"{name_of(file)} is signed: {place}")
        return
    echo(f"{name_of(file)} is signed; {place} has the signatures of")
    for signature in claimed_signatures(read_signature_file("", place, {})):
        echo(f"  {signature.key} {signature.fingerprint}")


COMMANDS = (sign,)
"""The commands of this module, in the order of the help."""
