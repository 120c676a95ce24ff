"""Commands that look at a file: they neither run its code, nor import torch, nor a module that it names."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from wardian.archive import ArchiveReader
from wardian.cli.exits import NO
from wardian.cli.opening import opened
from wardian.cli.output import columns, echo, echo_json, examples, is_terminal
from wardian.decisions import size_text
from wardian.errors import CorruptCaseError
from wardian.manifest import Manifest, TensorEntry
from wardian.names import RecordName

__all__ = ["COMMANDS", "audit", "cat", "diff", "info", "ls", "requirements", "verify", "why"]

_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; docs/reference/cli.md has the keys."
)
_file = click.argument("file", type=click.Path())


@click.command(
    short_help="What a file is, needs, and whether it fits here.",
    epilog=examples("wardian info resnet18.case"),
)
@_file
@_as_json
@click.pass_context
def info(context: click.Context, file: str, as_json: bool) -> None:
    """Say what a file is, what it needs, what was proven, and whether it fits here.

    Exit code 1 if something that it needs is not here.
    """
    from wardian.inspection.summary import Summary

    with opened(file) as (archive, _):
        summary = Summary.of(archive, file)
    if as_json:
        echo_json(summary.to_plain())
    else:
        from wardian.cli.pages import info_page

        for line in info_page(summary):
            echo(line)
    if not summary.fits_here:
        context.exit(NO)


@click.command(
    short_help="List records or tensors, with sizes.",
    epilog=examples(
        "wardian ls resnet18.case 'torchvision/models/*'", "wardian ls resnet18.case --tensors 'layer1.*'"
    ),
)
@_file
@click.argument("pattern", metavar="[GLOB]", required=False)
@click.option("--tensors", is_flag=True, help="List the named tensors in place of the records.")
@_as_json
def ls(file: str, pattern: str | None, tensors: bool, as_json: bool) -> None:
    """List what is in a file, with sizes in bytes.

    GLOB is matched against whole names: *, ? and [...] as in a shell, and * also stands for "/" and ".".
    """
    with opened(file) as (archive, manifest):
        if tensors:
            rows = [row for row in _tensor_rows(manifest) if _matches(row["name"], pattern)]
            if as_json:
                echo_json(rows)
                return
            lines = [
                (row["name"], row["dtype"], str(row["shape"]), size_text(row["bytes"]), _shared(row))
                for row in rows
            ]
        else:
            records = [name for name in sorted(archive.names) if _matches(name, pattern)]
            if as_json:
                echo_json([{"name": name, "size": archive.size(name)} for name in records])
                return
            for line in _tree([(name, archive.size(name)) for name in records]):
                echo(line)
            return
    for line in columns(lines):
        echo(line)


def _matches(name: str, pattern: str | None) -> bool:
    return pattern is None or fnmatch.fnmatchcase(name, pattern)


def _shared(row: dict[str, Any]) -> str:
    return f"shared with {', '.join(row['shared_with'])}" if row["shared_with"] else ""


def _tensor_rows(manifest: Manifest) -> Iterator[dict[str, Any]]:
    from wardian.inspection.summary import bytes_of

    many = len(manifest.entries) > 1
    names = {id(t): f"{t.entry}:{t.name}" if many else t.name for t in manifest.tensors}
    places: dict[object, list[TensorEntry]] = {}
    for tensor in manifest.tensors:
        if tensor.record is not None:
            places.setdefault(tensor.record, []).append(tensor)
    for tensor in manifest.tensors:
        beside = places.get(tensor.record, [])
        yield {
            "name": names[id(tensor)],
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "bytes": bytes_of(tensor),
            "kind": tensor.kind,
            "layout": "strided" if tensor.form is None else tensor.form.layout,
            "record": tensor.record,
            "shared_with": [names[id(other)] for other in beside if other is not tensor],
        }


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
@_file
@click.argument("member")
def cat(file: str, member: str) -> None:
    """Print a record of a file, checked against its digest; sources in colour on a terminal."""
    with opened(file) as (archive, _):
        _require(archive, member, file)
        content = archive.read(RecordName(member))
    if is_terminal() and member.endswith(".py"):
        from rich.console import Console
        from rich.syntax import Syntax

        text = content.decode("utf-8", "replace")
        Console().print(Syntax(text, "python", background_color="default", word_wrap=True))
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _require(archive: ArchiveReader, member: str, file: str) -> None:
    if member not in archive:
        import difflib

        near = difflib.get_close_matches(member, archive.names, 3)
        hint = f"; near to it: {', '.join(near)}" if near else f"; list them: wardian ls {file}"
        raise click.UsageError(f"{file} has no record {member!r}{hint}")


@click.command(
    short_help="Where a module is, and what imports it.", epilog=examples("wardian why bert.case numpy")
)
@_file
@click.argument("module")
@_as_json
@click.pass_context
def why(context: click.Context, file: str, module: str, as_json: bool) -> None:
    """Say whether a module is inside or outside, and which imports lead to it.

    Exit code 1 if the file has nothing to do with the module.
    """
    from wardian.inspection.imports import Reason, explain

    with opened(file) as (archive, manifest):
        reason: Reason = explain(archive, manifest, module)
    if as_json:
        echo_json({"module": module, "where": reason.where, "chain": list(reason.chain)})
    else:
        echo(f"{module}: {reason.words}")
        for number, step in enumerate(reason.chain):
            echo(f"  {'-> ' if number else ''}{step}")
    if reason.where == "nowhere":
        context.exit(NO)


@click.command(
    short_help="What differs between two files.", epilog=examples("wardian diff monday.case tuesday.case")
)
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@_as_json
@click.pass_context
def diff(context: click.Context, a: str, b: str, as_json: bool) -> None:
    """Show what differs between two files: code, tensors, distributions, externs, what was proven.

    Exit code 1 if something differs.
    """
    from wardian.inspection.differences import compare

    with opened(a) as before, opened(b) as after:
        differences = compare(before, after)
    if as_json:
        echo_json(differences.to_plain())
    else:
        from wardian.cli.pages import diff_page

        for line, style in diff_page(differences):
            echo(line, **style)
    if differences:
        context.exit(NO)


@click.command(
    short_help="Check every byte.", epilog=examples("wardian verify resnet18.case --digest cdbeb3fa30e2f4a1")
)
@_file
@click.option("--digest", help="The digest that the file must have, at least 16 characters of it.")
@_as_json
@click.pass_context
def verify(context: click.Context, file: str, digest: str | None, as_json: bool) -> None:
    """Check every byte of a file against its digests.

    Exit code 1 if a record is damaged, or the digest of the case is another.
    """
    from wardian.live.integrity import StorageChecks

    if digest is not None and (len(digest) < 16 or not set(digest) <= set("0123456789abcdef")):
        raise click.BadParameter("give at least 16 hexadecimal digits", param_hint="--digest")
    found: str | None = None
    try:
        with opened(file) as (archive, _):
            found = archive.fingerprint
            damaged = [str(error) for error in StorageChecks(archive).find_damage()]
    except CorruptCaseError as error:
        damaged = [str(error)]
    is_other = digest is not None and found is not None and not found.startswith(digest)
    if as_json:
        echo_json({"path": file, "digest": found, "damaged": damaged, "digest_fits": not is_other})
    else:
        for problem in damaged:
            echo(problem)
        if is_other:
            echo(f"{file} has the digest {found}, not {digest}")
        if not damaged and not is_other:
            echo(f"{file}: every record is as it was packed; digest {found}")
    if damaged or is_other:
        context.exit(NO)


@click.command(
    short_help="What must be installed.",
    epilog=examples("wardian requirements bert.case | pip install -r /dev/stdin"),
)
@_file
@click.option("--soft", is_flag=True, help="Also list what the case loads without.")
@click.option("--exact", is_flag=True, help="Pin the releases that the case was packed with.")
@_as_json
def requirements(file: str, soft: bool, exact: bool, as_json: bool) -> None:
    """Print what must be installed, a line each, for pip install -r."""
    from wardian.live.audit import requirements as find_requirements

    with opened(file) as (_, manifest):
        lines = find_requirements(manifest, soft=soft, exact=exact)
    if as_json:
        echo_json(list(lines))
        return
    for line in lines:
        echo(line)


@click.command(short_help="What the code could do.", epilog=examples("wardian audit stranger.case"))
@_file
@click.option(
    "--all", "shows_all", is_flag=True, help="List every place, also those that the object cannot reach."
)
@_as_json
def audit(file: str, shows_all: bool, as_json: bool) -> None:
    """Say what the code of a file could do: network, files, processes, native code, and more.

    Sources, bytecode and pickles are read and not run. This informs, and proves nothing: code that wants to
    hide what it does can.
    """
    from wardian.inspection.audit import audit as find

    with opened(file) as (archive, manifest):
        found = find(archive, manifest)
    if as_json:
        echo_json(found.to_plain())
        return
    from wardian.cli.pages import audit_page

    for line in audit_page(found, shows_all=shows_all):
        echo(line)


COMMANDS = (info, ls, cat, why, diff, verify, audit, requirements)
"""The commands of this module, in the order of the help."""
