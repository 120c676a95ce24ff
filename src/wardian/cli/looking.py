"""Commands that look at a file: they neither run its code, nor import torch, nor a module that it names."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wardian.archive import ArchiveReader
from wardian.cli.exits import NO
from wardian.cli.opening import name_of, opened
from wardian.cli.options import file_argument, json_option, matching, nothing_matches
from wardian.cli.output import (
    Line,
    check_output,
    columns,
    command,
    echo,
    echo_error,
    echo_json,
    echo_lines,
    echo_note,
    examples,
    is_terminal,
    near_to,
    printable,
    write_output,
)
from wardian.cli.signatures import Found, format_option, signers_option
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError
from wardian.wording import size_text

if TYPE_CHECKING:  # the commands import what they need
    from wardian.domain.manifest import Manifest
    from wardian.inspection.audit import Audit
    from wardian.inspection.weights import TensorFacts
    from wardian.trust.rules import Breach, Rules
    from wardian.trust.signatures import Format

__all__ = [
    "COMMANDS",
    "audit",
    "cat",
    "diff",
    "info",
    "ls",
    "report",
    "requirements",
    "sbom",
    "verify",
    "why",
]


@click.command(
    short_help="What a file is, needs, and whether it fits here.",
    epilog=examples("wardian info resnet18.case"),
)
@file_argument
@signers_option
@json_option
@click.pass_context
def info(context: click.Context, file: str, signers: str | None, as_json: bool) -> None:
    """Say what a file is, what it needs, what was proven, and whether it fits here.

    Exit code 1 if something that it needs is not here.
    """
    from wardian.inspection.summary import Summary

    with opened(file) as (archive, manifest):
        summary = Summary.of(archive, name_of(file), manifest)
        found = Found.claimed(file) if signers is None else Found.of(file, archive, signers)
    if as_json:
        echo_json(summary.to_plain() | found.to_plain())
    else:
        from wardian.cli.pages import info_page

        echo_lines(info_page(summary, found))
    if not summary.fits_here:
        context.exit(NO)


@click.command(
    short_help="List records or tensors, with sizes.",
    epilog=examples(
        "wardian ls resnet18.case 'torchvision/models/*'", "wardian ls resnet18.case --tensors 'layer1.*'"
    ),
)
@file_argument
@click.argument("pattern", metavar="[GLOB]", required=False)
@click.option("--tensors", is_flag=True, help="List the named tensors in place of the records.")
@json_option
def ls(file: str, pattern: str | None, tensors: bool, as_json: bool) -> None:
    """List what is in a file: on a terminal with sizes, in a pipe the names of records, one a line.

    GLOB is matched against whole names: *, ? and [...] as in a shell, and * also stands for "/" and ".".

    Exit code 1 if it matches nothing.
    """
    with opened(file) as (archive, manifest):
        if tensors:
            _list_tensors(archive, manifest, file, pattern, as_json=as_json)
            return
        records = matching(sorted(archive.names), pattern)
        if as_json:
            echo_json([{"name": name, "size": archive.size(name)} for name in records])
        else:
            # A name is copied from a pipe as cat and extract take it.
            tree = _tree([(name, archive.size(name)) for name in records])
            for line in tree if is_terminal() else records:
                echo(line)
        if pattern is not None and not records:
            raise nothing_matches(name_of(file), "record", pattern, archive.names, "wardian", "ls", file)


def _list_tensors(
    archive: ArchiveReader, manifest: Manifest, file: str, pattern: str | None, *, as_json: bool
) -> None:
    from wardian.inspection.weights import tensor_facts

    known = {facts.name: facts for facts in tensor_facts(manifest)}
    chosen = [known[name] for name in matching(known, pattern)]
    if as_json:
        echo_json([asdict(facts) for facts in chosen])
    elif archive.kind != "case":
        echo_note(_NO_INDEX)
    elif not known:
        echo_note(f"{name_of(file)} has no named tensors")
    else:
        lines = [(f.name, f.dtype, str(list(f.shape)), size_text(f.bytes), _shared(f)) for f in chosen]
        table = columns(lines)
        if is_terminal() and max(map(len, table), default=0) > shutil.get_terminal_size().columns:
            # Long names would fold anywhere. A pipe keeps one tensor a line.
            below = columns([facts[1:] for facts in lines], indent="    ")
            table = [line for (name, *_), facts in zip(lines, below, strict=True) for line in (name, facts)]
        for line in table:
            echo(line)
    if pattern is not None and not chosen:
        raise nothing_matches(name_of(file), "tensor", pattern, known, "wardian", "ls", file, "--tensors")


_NO_INDEX = (
    "an archive of torch.package has no index of tensors; wardian weights writes what its modules hold"
)


def _shared(facts: TensorFacts) -> str:
    if not facts.shares:
        return ""
    more = facts.shares - len(facts.shared_with)
    return f"shared with {', '.join(facts.shared_with)}" + (f" and {more} more" if more else "")


def _tree(records: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Yield names below their folders, each folder once, sizes in front."""
    above: tuple[str, ...] = ()
    for name, size in records:
        *folders, base = name.split("/")
        common = 0
        while common < min(len(above), len(folders)) and above[common] == folders[common]:
            common += 1
        for depth in range(common, len(folders)):
            yield f"{'':>10}  {'  ' * depth}{folders[depth]}/"
        above = tuple(folders)
        yield f"{size_text(size):>10}  {'  ' * len(folders)}{base}"


@click.command(
    short_help="Print a record, checked.",
    epilog=examples("wardian cat resnet18.case torchvision/models/resnet.py"),
)
@file_argument
@click.argument("member", metavar="RECORD")
def cat(file: str, member: str) -> None:
    """Print a record of a file, checked against its digest; sources in colour on a terminal.

    Exit code 1 if there is no such record.
    """
    with opened(file) as (archive, _):
        if member not in archive:
            raise nothing_matches(name_of(file), "record", member, archive.names, "wardian", "ls", file)
        content = archive.read(RecordName(member))
    if is_terminal():
        text = printable(content.decode("utf-8", "replace").replace("\r\n", "\n"))
        shown = _coloured(text) if member.endswith(".py") and len(content) <= _COLOURED else text
        click.echo(shown, nl=not text.endswith("\n"))
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


_COLOURED = 1 << 20
"""Bytes of the largest source that is coloured."""


def _coloured(source: str) -> str:
    """Return a source with colours between its characters, which stay as they are: people copy them.

    rich brings pygments, and is not asked itself: it breaks the lines that do not fit the terminal.
    """
    from pygments import highlight
    from pygments.formatters.terminal import TerminalFormatter
    from pygments.lexers.python import PythonLexer

    return str(highlight(source, PythonLexer(stripnl=False, ensurenl=False), TerminalFormatter()))


@click.command(
    short_help="Where a module is, and what imports it.", epilog=examples("wardian why bert.case numpy")
)
@file_argument
@click.argument("module")
@json_option
@click.pass_context
def why(context: click.Context, file: str, module: str, as_json: bool) -> None:
    """Say whether a module is inside or outside, and which imports lead to it.

    Exit code 1 if the file has nothing to do with the module.
    """
    from wardian.inspection.imports import Reason, explain, known_modules

    with opened(file) as (archive, manifest):
        reason: Reason = explain(archive, manifest, module)
        near = near_to(module, known_modules(archive, manifest)) if reason.where == "nowhere" else []
    if as_json:
        echo_json({"module": module, "where": reason.where, "chain": list(reason.chain)})
    else:
        hint = f"; near to it: {', '.join(near)}" if near else ""
        echo_lines([f"{module}: {reason.words}{hint}"])
        echo_lines(Line(step, f"  {'-> ' if number else ''}") for number, step in enumerate(reason.chain))
    if reason.where == "nowhere":
        context.exit(NO)


@click.command(
    short_help="What differs between two files.", epilog=examples("wardian diff monday.case tuesday.case")
)
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@click.option("--all", "shows_all", is_flag=True, help="Show all lines, files and tensors that differ.")
@json_option
@click.pass_context
def diff(context: click.Context, a: str, b: str, shows_all: bool, as_json: bool) -> None:
    """Show what differs between two files: code, distributions, externs, what was proven, tensors.

    Without --all, of much it shows the first, and counts the rest.

    Exit code 1 if something differs.
    """
    from wardian.inspection.differences import compare

    with opened(a) as before, opened(b) as after:
        differences = compare(before, after)
    if as_json:
        echo_json(differences.to_plain())
    else:
        from wardian.cli.pages import diff_page

        echo_lines(diff_page(differences, shows_all=shows_all))
    if differences:
        context.exit(NO)


@click.command(
    short_help="Check every byte.", epilog=examples("wardian verify resnet18.case --digest cdbeb3fa30e2f4a1")
)
@file_argument
@click.option("--digest", help="The digest that the file must have, at least 16 characters of it.")
@signers_option
@click.option("--identity", metavar="NAME", help="Who has to have signed, as for ssh-keygen -I.")
@click.option("--signature", metavar="SIG", help="The file or URL of the signatures; else FILE.sig.")
@format_option
@json_option
@click.pass_context
def verify(
    context: click.Context,
    file: str,
    digest: str | None,
    signers: str | None,
    identity: str | None,
    signature: str | None,
    form: Format,
    as_json: bool,
) -> None:
    """Check every byte of a file against its digests, and with --signers who signed it.

    Of a URL all is read again, whatever copy of it is here.

    Exit code 1 if a record is damaged, the digest of the case is another, or nobody has signed it whom the
    file of allowed signers has.
    """
    from wardian.reading.arriving import Arriving
    from wardian.reading.storage_checks import StorageChecks

    if signers is None and (identity is not None or signature is not None):
        raise click.UsageError("whose signatures count? Give --signers, a file of allowed signers")
    if digest is not None and (len(digest) < 16 or not set(digest) <= set("0123456789abcdef")):
        raise click.BadParameter("give at least 16 hexadecimal digits", param_hint="--digest")
    found: str | None = None
    told, label = "every record is as it was packed", "digest"
    signed = Found()
    try:
        with opened(file, anew=True) as (archive, _):
            if signers is not None:
                signed = Found.of(file, archive, signers, identity=identity, signature=signature, form=form)
            if archive.kind == "torch.package":
                told = "every record has its CRC-32, which is no digest; such archives carry none"
                label = "digest of the contents, computed here,"
            found = archive.fingerprint
            damaged = [str(error) for error in StorageChecks(archive).find_damage(Arriving(name_of(file)))]
    except CorruptCaseError as error:
        damaged = [str(error)]
    is_other = digest is not None and found is not None and not found.startswith(digest)
    is_unsigned = signers is not None and not signed.valid
    if as_json:
        facts = {"path": name_of(file), "digest": found, "damaged": damaged, "digest_fits": not is_other}
        echo_json(facts | signed.to_plain() | {"signed": None if signers is None else not is_unsigned})
    else:
        lines: list[Line | str] = [*damaged]
        if is_other:
            lines += [f"{name_of(file)} has another digest than {digest}", f"  {label} {found}"]
        if not damaged and not is_other:
            lines += [f"{name_of(file)}: {told}", f"  {label} {found}"]
        if is_unsigned and signed.checked:
            by = identity or f"anybody whom {signers} allows"
            lines.append(f"{name_of(file)} is not signed by {by}")
        for one in signed.valid:
            lines += [f"  signed by {one.signer}", f"    {one.key} {one.fingerprint}"]
        echo_lines([*lines, *signed.problem_lines("  ")])
    if damaged or is_other or is_unsigned:
        context.exit(NO)


@click.command(
    short_help="What must be installed.",
    epilog=examples(
        "wardian requirements bert.case | pip install -r /dev/stdin",
        "wardian requirements bert.case --pylock --wheels downloads > pylock.toml",
    ),
)
@file_argument
@click.option("--soft", is_flag=True, help="Also list what the case loads without.")
@click.option("--exact", is_flag=True, help="Pin the releases that the case was packed with.")
@click.option("--pylock", is_flag=True, help="Print a lock file (PEP 751) of what --wheels has.")
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False),
    help="A folder that pip download has filled: a lock file needs the hash of each file.",
)
@json_option
@click.pass_context
def requirements(
    context: click.Context,
    file: str,
    soft: bool,
    exact: bool,
    pylock: bool,
    wheels: str | None,
    as_json: bool,
) -> None:
    """Print what must be installed, a line each, for pip install -r.

    Ranges are of releases that fit whatever names they have; --exact pins.

    Exit code 1 if --wheels has no release that fits.
    """
    from wardian.reading.fit import requirements_of

    if pylock != (wheels is not None):
        asking = command("wardian", "requirements", file)
        raise click.UsageError(
            "a lock file needs the hash of each file, which a case does not know; --pylock and --wheels go"
            " together:\n"
            f"    {asking} --exact | pip download -r /dev/stdin -d downloads\n"
            f"    {asking} --pylock --wheels downloads > pylock.toml"
        )
    with opened(file) as (archive, manifest):
        lines = requirements_of(archive, manifest, soft=soft, exact=exact)
    if wheels is not None:
        locked, missing = _lock(lines, Path(wheels))
        if missing:
            listing = "".join(f"\n  {line}" for line in missing)
            echo_error(f"{wheels} has no release that fits:{listing}")
            context.exit(NO)
        echo(locked.rstrip())
        return
    if as_json:
        echo_json(list(lines))
        return
    for line in lines:
        echo(line)


def _lock(lines: tuple[str, ...], folder: Path) -> tuple[str, tuple[str, ...]]:
    from wardian.reading.lock import lock

    try:
        return lock(lines, folder)
    except ModuleNotFoundError as error:
        if error.name != "packaging.pylock":
            raise
        raise click.ClickException(
            "this release of packaging has no lock files\n  fix: pip install -U packaging"
        ) from None


@click.command(
    short_help="What the code could do.",
    epilog=examples("wardian audit stranger.case", "wardian audit stranger.case --policy policy.toml"),
)
@file_argument
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False),
    help="A TOML file that says what a file may hold; docs/reference/cli.md has its keys.",
)
@click.option(
    "--all", "shows_all", is_flag=True, help="List every place, also those that the object cannot reach."
)
@json_option
@click.pass_context
def audit(context: click.Context, file: str, policy: str | None, shows_all: bool, as_json: bool) -> None:
    """Say what the code of a file could do: network, files, processes, native code, and more.

    Sources, bytecode and pickles are read and not run. This informs, and proves nothing: code that wants to
    hide what it does can.

    Exit code 1 if the policy is broken.
    """
    from wardian.inspection.audit import audit as find
    from wardian.reporters import reporting

    rules = None if policy is None else _rules(policy)
    with opened(file) as (archive, manifest), reporting(None) as observer:
        observer.stage("audit")
        found = find(archive, manifest)
        breaches = None if rules is None else _breaches(rules, archive, manifest, found, file)
    if as_json:
        plain = found.to_plain()
        if breaches is not None:
            plain["policy"] = {"path": policy, "broken": [asdict(breach) for breach in breaches]}
        echo_json(plain)
    else:
        from wardian.cli.pages import audit_page

        echo_lines(audit_page(found, breaches, shows_all=shows_all))
        if archive.kind != "case":
            echo_note(_NO_DIGESTS)
    if breaches:
        context.exit(NO)


_NO_DIGESTS = (
    "an archive of torch.package has no digests: nothing tells whether this is the code that was packed"
)


def _breaches(
    rules: Rules, archive: ArchiveReader, manifest: Manifest, found: Audit, source: str
) -> tuple[Breach, ...]:
    from wardian.trust.judging import Facts
    from wardian.trust.rules import find_breaches

    return find_breaches(rules, Facts(archive, manifest, source, found=found))


def _rules(path: str) -> Rules:
    from wardian.trust.rules import Rules

    try:
        return Rules.read(Path(path).read_text("utf-8"), "audit")
    except (ValueError, UnicodeDecodeError) as error:
        raise click.UsageError(f"the policy {path}: {error}") from None


@click.command(
    short_help="A page that shows what a file is.",
    epilog=examples("wardian report resnet18.case -o resnet18.html"),
)
@file_argument
@click.option("-o", "--output", required=True, type=click.Path(), help="The .html file.")
def report(file: str, output: str) -> None:
    """Write one HTML page that shows what a file is, needs and could do. It asks no network for anything.

    It has a summary, a map of the weights, what is inside and outside and why, the audit, and the self-test.
    """
    check_output(output, file)
    try:
        from wardian.cli.report import report_page
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise click.ClickException(
            f"{error.name} is not installed\n  fix: pip install 'wardian[cli]'"
        ) from None

    from wardian.reporters import reporting

    with opened(file) as (archive, manifest), reporting(None) as observer:
        observer.stage("report")
        page = report_page(archive, manifest, name_of(file))
    write_output(output, page.encode("utf-8", "backslashreplace"))
    if output != "-":
        echo(f"{output}: {size_text(os.stat(output).st_size)}")


@click.command(
    short_help="A bill of materials (CycloneDX).",
    epilog=examples("wardian sbom resnet18.case -o resnet18.cdx.json"),
)
@file_argument
@click.option("-o", "--output", type=click.Path(), help="The file; else standard output.")
def sbom(file: str, output: str | None) -> None:
    """Write a bill of materials: CycloneDX 1.6 in JSON, with the object as a machine-learning model.

    It lists what is inside and outside, with versions, licences and package URLs.
    """
    from wardian.inspection.bom import bill_of_materials

    check_output(output, file)
    with opened(file) as (archive, _):
        bill = bill_of_materials(archive, os.path.basename(name_of(file)))
    if output is None:
        echo_json(bill)
        return
    write_output(output, (json.dumps(bill, indent=1, sort_keys=True) + "\n").encode())
    if output != "-":
        echo(f"{output}: {len(bill['components'])} components")


COMMANDS = (info, ls, cat, why, diff, verify, audit, report, sbom, requirements)
"""The commands of this module, in the order of the help."""
