"""Commands that pack, run, and write files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wardian.archive.remote.urls import is_url
from wardian.cli.exits import NO, AnswerIsNo, running_code
from wardian.cli.opening import name_of, opened
from wardian.cli.options import file_argument, json_option, matching, nothing_matches
from wardian.cli.output import (
    check_output,
    columns,
    command,
    echo,
    echo_error,
    echo_json,
    echo_note,
    echo_text,
    examples,
    printable,
)
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError, EnvironmentMismatchError, UntrustedCaseError
from wardian.wording import count_text, size_text

if TYPE_CHECKING:
    import torch

    from wardian.archive import ArchiveReader
    from wardian.domain.manifest import Manifest

__all__ = ["COMMANDS", "cache", "check", "extract", "pack", "plan", "push", "run", "weights"]

_entry = click.option("--entry", "--name", "entry", help="The entry point, if there are several.")


def _policy_options(command: click.decorators.FC) -> click.decorators.FC:
    for verb, what in (
        ("deny", "makes packing fail"),
        ("mock", "is replaced by a stand-in"),
        ("extern", "stays outside"),
        ("intern", "goes inside"),
    ):
        option = click.option(
            f"--{verb}", multiple=True, metavar="GLOB", help=f"A module that {what}; repeatable."
        )
        command = option(command)
    return command


_sandbox = click.option(
    "--sandbox", is_flag=True, help="Run the code in a cage: no network, no files, no processes. Linux."
)


def _object_options(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--inputs-from", multiple=True, help="A .pt file with a tuple or dictionary."),
        click.option(
            "--inputs",
            multiple=True,
            metavar="EXPR",
            help="Arguments of a call, as a Python expression: '(torch.ones(2),)'. With --entry: NAME=EXPR.",
        ),
        click.option(
            "--entry",
            "entries",
            multiple=True,
            metavar="NAME=TARGET",
            help="An entry point, in place of TARGET; repeatable.",
        ),
        click.argument("target", required=False),
    ):
        command = option(command)
    return command


def _objects(
    target: str | None, entries: tuple[str, ...], inputs: tuple[str, ...], inputs_from: tuple[str, ...]
) -> dict[str, Any]:
    """Return the arguments of `wardian.pack` and `wardian.plan` that say what is packed."""
    from wardian.cli.targets import find_arguments, find_target, split_named

    if (target is None) is not bool(entries):
        raise click.UsageError("give a TARGET, or --entry NAME=TARGET once for each entry point")
    if target is not None:
        if len(inputs) > 1 or len(inputs_from) > 1:
            raise click.UsageError("one TARGET is called once: give --inputs or --inputs-from once")
        return {
            "obj": find_target(target),
            "inputs": find_arguments(next(iter(inputs), None), next(iter(inputs_from), None)),
        }
    objects = split_named("--entry", entries)
    expressions, files = split_named("--inputs", inputs), split_named("--inputs-from", inputs_from)
    called = expressions.keys() | files.keys()
    unknown = sorted(called - objects.keys())
    if unknown:
        raise click.UsageError(f"inputs for {', '.join(unknown)}, and no --entry of the name")
    return {
        "entries": {name: find_target(found) for name, found in objects.items()},
        "inputs": {name: find_arguments(expressions.get(name), files.get(name)) for name in sorted(called)}
        or None,
    }


@click.command(
    short_help="Pack an object.",
    epilog=examples(
        "wardian pack torchvision.models:resnet18 -o resnet18.case \\",
        "    --inputs '(torch.zeros(1, 3, 224, 224),)'",
        "wardian pack -o both.case --entry model=train.py:build \\",
        "    --entry words=train.py:words --inputs 'model=(torch.zeros(1, 2),)'",
    ),
)
@_object_options
@click.option("-o", "--output", required=True, type=click.Path(), help="Where the case goes.")
@click.option("--no-proof", is_flag=True, help="Do not load the case in a clean process.")
@click.option("--provenance", is_flag=True, help="Note the git commit and the command in the case.")
@_policy_options
def pack(
    target: str | None,
    entries: tuple[str, ...],
    output: str,
    inputs: tuple[str, ...],
    inputs_from: tuple[str, ...],
    no_proof: bool,
    provenance: bool,
    deny: tuple[str, ...],
    mock: tuple[str, ...],
    extern: tuple[str, ...],
    intern: tuple[str, ...],
) -> None:
    """Pack TARGET; print the plan, what was proven, and the size.

    TARGET is module:name or script.py:name, names with points included. What it names is called if it can be
    called without being a model itself. This imports the module or runs the script.
    """
    import wardian

    scripts = (target or "", *(entry.partition("=")[2] for entry in entries))
    files = (path.partition("=")[2] or path for path in inputs_from)
    check_output(output, *(script.rpartition(":")[0] for script in scripts), *files)
    report = wardian.pack(
        path=output,
        **_objects(target, entries, inputs, inputs_from),
        policy=wardian.Policy(deny=deny, mock=mock, extern=extern, intern=intern),
        prove=not no_proof,
        provenance=provenance,
    )
    # Its warnings were shown as they came, whole and all of them.
    echo_text(f"{report.plan}\n\n{replace(report, warnings=())}")


@click.command(
    short_help="Say what pack would do.", epilog=examples("wardian plan torchvision.models:resnet18")
)
@_object_options
@_policy_options
@json_option
def plan(
    target: str | None,
    entries: tuple[str, ...],
    inputs: tuple[str, ...],
    inputs_from: tuple[str, ...],
    deny: tuple[str, ...],
    mock: tuple[str, ...],
    extern: tuple[str, ...],
    intern: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what pack would do with TARGET; write nothing."""
    import wardian

    found = wardian.plan(
        **_objects(target, entries, inputs, inputs_from),
        policy=wardian.Policy(deny=deny, mock=mock, extern=extern, intern=intern),
    )
    if as_json:
        echo_json(found.to_plain())
    else:
        echo_text(str(found))


@click.command(
    short_help="Run the self-test (runs code).",
    epilog=examples(
        "wardian check resnet18.case --timeout 60", "wardian check stranger.case --sandbox --timeout 60"
    ),
)
@file_argument
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Give up after so many seconds.")
@click.option("--exact", is_flag=True, help="Ask for the same bits.")
@_sandbox
@_entry
@json_option
@click.pass_context
def check(
    context: click.Context,
    file: str,
    timeout: float | None,
    exact: bool,
    sandbox: bool,
    entry: str | None,
    as_json: bool,
) -> None:
    """Run the self-test of a case in a process of its own. This runs the code in the file.

    Exit code 1 if an output differs, or the case does not fit here; 2 if it takes longer than --timeout.
    """
    from wardian.cli.checking import admit, check_in_cage, check_in_child, failed, find_entry

    work = check_in_cage if sandbox else check_in_child
    found: dict[str, Any]
    try:
        with opened(file) as (archive, manifest):
            asked = manifest.entries if entry is None else (find_entry(manifest, file, entry),)
            if all(known.test is None for known in asked):
                why = _untested(archive, file, entry)
                if as_json:
                    _echo_check(file, failed(why))
                raise click.UsageError(why)
            admit(archive, manifest, file)
        found = work(file, entry=entry, exact=exact, timeout=timeout)
    except (CorruptCaseError, EnvironmentMismatchError, UntrustedCaseError) as error:
        found = failed(str(error), error.page)
    if as_json:
        _echo_check(file, found)
    else:
        click.echo(printable(found["printed"]), err=True, nl=False)
        if found["passed"]:
            echo_text(found["text"])
            if is_url(file):
                echo_note(
                    "this was a copy, as wardian.load takes it; what is there now:"
                    f" {command('wardian', 'verify', name_of(file))}"
                )
        else:
            see = f"\n  see: {found['page']}" if found["page"] else ""
            echo_error(f"{found['problem']}{see}")
    if not found["passed"]:
        context.exit(NO)


def _echo_check(file: str, found: Mapping[str, Any]) -> None:
    echo_json({"path": name_of(file)} | {key: found[key] for key in found if key not in ("page", "text")})


def _untested(archive: ArchiveReader, file: str, entry: str | None) -> str:
    why = "it was packed without inputs" if archive.kind == "case" else "archives of torch.package have none"
    what = name_of(file) if entry is None else f"{entry} of {name_of(file)}"
    return f"{what} has no self-test: {why}"


@click.command(
    short_help="Load and call (runs code).",
    epilog=examples(
        "wardian run resnet18.case --inputs inputs.pt -o out.pt",
        "wardian run stranger.case --sandbox --inputs inputs.pt -o out.pt",
    ),
)
@file_argument
@click.option(
    "--inputs",
    required=True,
    metavar="X",
    help="A .pt file with a tuple or dictionary of arguments, or an expression.",
)
@click.option("-o", "--output", type=click.Path(), help="A .pt file for the result, which torch.load reads.")
@_sandbox
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="With --sandbox: seconds that loading, and the call, may take.",
)
@_entry
def run(
    file: str, inputs: str, output: str | None, sandbox: bool, timeout: float | None, entry: str | None
) -> None:
    """Load the object of a case and call it. This runs the code in the file."""
    if timeout is not None and not sandbox:
        raise click.UsageError("--timeout goes with --sandbox: else the code runs in this very process")
    from wardian.cli.checking import admit, find_entry

    is_file = inputs.endswith((".pt", ".pth"))
    check_output(output, file, *((inputs,) if is_file else ()))
    # What cannot be run is told at once, before torch is imported.
    with opened(file) as (archive, manifest):
        entry = find_entry(manifest, file, entry).name
        import wardian
        from wardian.cli.targets import find_arguments
        from wardian.tensors.files import call, save

        arguments = find_arguments(None if is_file else inputs, inputs if is_file else None)
        admit(archive, manifest, file)
    if sandbox:
        with wardian.load_sandboxed(file, name=entry, timeout=timeout) as caged:
            result = call(caged, arguments)
            click.echo(caged.printed, err=True, nl=False)
    else:
        with running_code():
            result = call(wardian.load(file, name=entry), arguments)
    if output is None:
        echo(repr(result))
    else:
        save(result, output)


@click.command(
    short_help="Write weights as safetensors.",
    epilog=examples("wardian weights resnet18.case -o head.safetensors --only 'fc.*'"),
)
@file_argument
@click.option("-o", "--output", required=True, type=click.Path(), help="The .safetensors file.")
@click.option("--only", metavar="GLOB", help="Only tensors whose names match, as ls --tensors prints them.")
@_entry
def weights(file: str, output: str, only: str | None, entry: str | None) -> None:
    """Write the weights of one entry point as safetensors, without running code of the file.

    With several entry points --entry says which, or the names that --only matches do. What is left out of a
    state_dict is left out here, too.

    Exit code 1 if there are none that match.
    """
    check_output(output, file)
    # What is no case, and what there is not, is told at once, before torch is imported.
    with opened(file) as (archive, manifest):
        if archive.kind == "case":
            chosen = _weights_of_case(file, manifest, entry, only)
        else:
            chosen = _bare_weights(file, archive, manifest, entry, only)
        from wardian.tensors.safetensors import write_safetensors

        write_safetensors(chosen, output, {"format": "pt"})
    echo(f"{output}: {count_text(len(chosen), 'tensor')}, {size_text(os.stat(output).st_size)}")


def _weights_of_case(
    file: str, manifest: Manifest, entry: str | None, only: str | None
) -> dict[str, torch.Tensor]:
    """Read the tensors of one entry point by the names that its state_dict has.

    Raises:
        click.UsageError: if several entry points may be meant.
        AnswerIsNo: if nothing matches.
    """
    from wardian.cli.checking import find_entry
    from wardian.inspection.weights import tensor_names

    if entry is not None or only is None:
        entry = find_entry(manifest, file, entry).name
    known = {name: tensor for name, tensor in tensor_names(manifest) if entry in (None, tensor.entry)}
    matched = set(matching(known, only))
    if entry is not None:  # it need not be said twice
        matched |= {name for name, tensor in known.items() if matching([tensor.name], only)}
    found = {name: tensor for name, tensor in known.items() if name in matched}
    if only is not None and not found:
        raise nothing_matches(name_of(file), "tensor", only, known, "wardian", "ls", file, "--tensors")
    if len({tensor.entry for tensor in found.values()}) > 1:
        find_entry(manifest, file, entry)  # which asks for one
    state = {name: tensor.name for name, tensor in found.items() if tensor.kind != "transient"}
    left_out = [tensor.name for tensor in found.values() if tensor.kind == "transient"]
    if left_out:
        count, more = count_text(len(left_out), "buffer"), ", ..." if len(left_out) > _NAMED else ""
        echo_note(f"left out: {count} that no state_dict has ({', '.join(left_out[:_NAMED])}{more})")
    if not state:
        raise AnswerIsNo(f"{name_of(file) if entry is None else entry} has no tensors that a state_dict has")
    import wardian

    with wardian.open(file) as case:
        tensors = case.tensors
        tensors.fetch(state)
        return {state[name]: tensor for name, tensor in tensors.read(state).items()}


_NAMED = 3
"""Tensors that a note names; the rest is counted."""


def _bare_weights(
    file: str, archive: ArchiveReader, manifest: Manifest, entry: str | None, only: str | None
) -> dict[str, torch.Tensor]:
    from wardian.cli.checking import find_entry
    from wardian.reading.bare import read_bare_weights

    record = find_entry(manifest, file, entry).record
    echo_note(
        "an archive of torch.package has no index of weights, and no digests: these are the names in its"
        " modules, which its code may change"
    )
    state = read_bare_weights(archive, RecordName(record))
    chosen = {name: state[name] for name in matching(state, only)}
    if only is not None and not chosen:
        raise nothing_matches(name_of(file), "tensor", only, state, "wardian", "ls", file, "--tensors")
    if not chosen:
        raise AnswerIsNo(f"{name_of(file) if entry is None else entry} has no tensors")
    return chosen


@click.command(
    short_help="Write records to a folder.",
    epilog=examples("wardian extract resnet18.case -C sources 'torchvision/*'"),
)
@file_argument
@click.argument("pattern", metavar="[GLOB]", required=False)
@click.option(
    "-C", "--directory", required=True, type=click.Path(), help="The folder that the records go to."
)
def extract(file: str, pattern: str | None, directory: str) -> None:
    """Write the records of a file below a folder, each checked against its digest. Existing files stay.

    Exit code 1 if GLOB matches nothing.
    """
    folder = Path(directory)
    with opened(file) as (archive, _):
        chosen = matching(archive.names, pattern)
        if pattern is not None and not chosen:
            raise nothing_matches(name_of(file), "record", pattern, archive.names, "wardian", "ls", file)
        there = [name for name in chosen if (folder / name).exists()]
        if there:
            raise click.UsageError(f"{folder / there[0]} exists; extract into an empty folder")
        for name in chosen:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(RecordName(name)))
    echo(f"{len(chosen)} records below {directory}")


@click.command(
    short_help="Put a case where others open it by URL.",
    epilog=examples("wardian push resnet18.case hf://me/resnet18", "wardian push resnet18.case s3://models/"),
)
@file_argument
@click.argument("url")
@click.option("--weights", is_flag=True, help="On the Hub, also write model.safetensors.")
@click.option("--private", is_flag=True, help="On the Hub, make the repository private if there is none.")
@click.option("--revision", help="On the Hub, the branch.")
@click.option("--message", help="On the Hub, of the commit.")
def push(
    file: str, url: str, weights: bool, private: bool, revision: str | None, message: str | None
) -> None:
    """Put a case at URL, on the Hub with a model card. Print the URL by which it is opened."""
    import wardian

    if not is_url(url):
        raise click.UsageError(f"{url} is no URL; a case is a file, so cp puts it into a folder")

    echo(
        wardian.push(
            file,
            url,
            weights=weights,
            private=private or None,
            revision=revision,
            commit_message=message,
        )
    )


@click.command(short_help="Show or clear the cache folder.", epilog=examples("wardian cache --clear"))
@click.option("--clear", "is_cleared", is_flag=True, help="Remove what no process uses.")
@json_option
def cache(is_cleared: bool, as_json: bool) -> None:
    """Show the folder of files that can be made again, with sizes; clear it.

    It is $WARDIAN_CACHE, else the user's cache folder. By itself Wardian keeps 16 GiB at most, and nothing
    that was not used for 90 days; $WARDIAN_CACHE_MAX_SIZE (such as 2GiB) and $WARDIAN_CACHE_MAX_DAYS change
    that.
    """
    import wardian
    from wardian.environment.cache import Bounds, find_cache_folder, sizes

    folder, why = None, None
    try:
        folder = find_cache_folder()
    except OSError as error:
        why = str(error)
    removed = wardian.clear_cache() if is_cleared and folder is not None else 0
    bounds = Bounds.current()
    if as_json:
        # JSON has no infinity, which stands for no bound.
        most, days = (None if value == math.inf else value for value in (bounds.max_bytes, bounds.max_days))
        known = {} if folder is None else sizes(folder)
        kept = {"max_bytes": most, "max_days": days}
        found = {"path": folder and str(folder), "problem": why}
        echo_json({**found, "bytes": known, "removed": removed, "keeps": kept})
    elif folder is None:
        echo(f"there is no cache folder that can be used: {why}")
        echo("  fix: mend that, or let WARDIAN_CACHE name another folder")
    elif is_cleared:
        echo(f"{folder}: {size_text(removed)} removed")
    else:
        echo(str(folder))
        for line in columns([(size_text(size), kind) for kind, size in sizes(folder).items()], indent="  "):
            echo(line)
        echo_text(f"  keeps {bounds} (WARDIAN_CACHE_MAX_SIZE, WARDIAN_CACHE_MAX_DAYS)")


COMMANDS = (pack, plan, check, run, weights, extract, push, cache)
"""The commands of this module, in the order of the help."""
