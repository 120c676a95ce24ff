"""Commands that pack, run, and write files."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path

import click

from wardian.cli.exits import NO
from wardian.cli.opening import opened
from wardian.cli.output import columns, echo, echo_error, examples
from wardian.decisions import size_text
from wardian.names import RecordName

__all__ = ["COMMANDS", "cache", "check", "extract", "pack", "plan", "run", "weights"]

_file = click.argument("file", type=click.Path())


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


_inputs = click.option(
    "--inputs", metavar="EXPR", help="Arguments of a call, as a Python expression: '(torch.ones(2),)'."
)
_inputs_from = click.option(
    "--inputs-from", type=click.Path(exists=True), help="A .pt file with a tuple or dictionary."
)


@click.command(
    short_help="Pack an object.",
    epilog=examples(
        "wardian pack torchvision.models:resnet18 -o resnet18.case \\",
        "    --inputs '(torch.zeros(1, 3, 224, 224),)'",
    ),
)
@click.argument("target")
@click.option("-o", "--output", required=True, type=click.Path(), help="Where the case goes.")
@_inputs
@_inputs_from
@click.option("--no-proof", is_flag=True, help="Do not load the case in a clean process.")
@_policy_options
def pack(
    target: str,
    output: str,
    inputs: str | None,
    inputs_from: str | None,
    no_proof: bool,
    deny: tuple[str, ...],
    mock: tuple[str, ...],
    extern: tuple[str, ...],
    intern: tuple[str, ...],
) -> None:
    """Pack TARGET, say what went in and what was proven.

    TARGET is module:name or script.py:name, names with points included. What it names is called if it can be
    called without being a model itself. This imports the module or runs the script.
    """
    import wardian
    from wardian.cli.targets import find_arguments, find_target

    report = wardian.pack(
        find_target(target),
        output,
        inputs=find_arguments(inputs, inputs_from),
        policy=wardian.Policy(deny=deny, mock=mock, extern=extern, intern=intern),
        prove=not no_proof,
        progress=None if os.isatty(2) else False,
    )
    echo(str(report))


@click.command(
    short_help="Say what pack would do.", epilog=examples("wardian plan torchvision.models:resnet18")
)
@click.argument("target")
@_inputs
@_inputs_from
@_policy_options
def plan(
    target: str,
    inputs: str | None,
    inputs_from: str | None,
    deny: tuple[str, ...],
    mock: tuple[str, ...],
    extern: tuple[str, ...],
    intern: tuple[str, ...],
) -> None:
    """Say what pack would do with TARGET; write nothing."""
    import wardian
    from wardian.cli.targets import find_arguments, find_target

    echo(
        str(
            wardian.plan(
                find_target(target),
                inputs=find_arguments(inputs, inputs_from),
                policy=wardian.Policy(deny=deny, mock=mock, extern=extern, intern=intern),
            )
        )
    )


@click.command(
    short_help="Run the self-test (runs code).", epilog=examples("wardian check resnet18.case --timeout 60")
)
@_file
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Give up after so many seconds.")
@click.option("--exact", is_flag=True, help="Ask for the same bits.")
@click.pass_context
def check(context: click.Context, file: str, timeout: float | None, exact: bool) -> None:
    """Run the self-test of a case in a process of its own. This runs the code in the file.

    Exit code 1 if an output differs, or the case does not fit here.
    """
    from wardian.cli.checking import check_in_child

    with opened(file) as (_, manifest):
        if not any(entry.test is not None for entry in manifest.entries):
            echo_error(f"{file} has no self-test: it was packed without inputs")
            context.exit(2)
    click.echo(f"running the code in {file} ...", err=True)
    passed, text = check_in_child(file, exact=exact, timeout=timeout)
    if not passed:
        echo_error(text)
        context.exit(NO)
    echo(text)


@click.command(
    short_help="Load and call (runs code).",
    epilog=examples("wardian run resnet18.case --inputs '(torch.zeros(1, 3, 224, 224),)' -o out.pt"),
)
@_file
@click.option(
    "--inputs",
    required=True,
    metavar="X",
    help="A .pt file with a tuple or dictionary of arguments, or an expression.",
)
@click.option("-o", "--output", type=click.Path(), help="A .pt file for the result, which torch.load reads.")
@click.option("--name", help="The entry point, if there are several.")
def run(file: str, inputs: str, output: str | None, name: str | None) -> None:
    """Load the object of a case and call it. This runs the code in the file."""
    import wardian
    from wardian.cli.targets import find_arguments
    from wardian.tensors.files import call, save

    is_file = inputs.endswith((".pt", ".pth"))
    arguments = find_arguments(None if is_file else inputs, inputs if is_file else None)
    click.echo(f"running the code in {file} ...", err=True)
    result = call(wardian.load(file, name=name), arguments)
    if output is None:
        echo(repr(result))
    else:
        save(result, output)


@click.command(
    short_help="Write weights as safetensors.",
    epilog=examples("wardian weights resnet18.case -o head.safetensors --only 'fc.*'"),
)
@_file
@click.option("-o", "--output", required=True, type=click.Path(), help="The .safetensors file.")
@click.option("--only", metavar="GLOB", help="Only tensors whose names match.")
@click.option("--name", help="The entry point, if there are several.")
def weights(file: str, output: str, only: str | None, name: str | None) -> None:
    """Write the weights of a file as safetensors, without running its code."""
    import wardian
    from wardian.tensors.safetensors import write_safetensors

    with wardian.open(file) as case:
        chosen = {
            key: tensor
            for key, tensor in case.state_dict(name).items()
            if only is None or fnmatch.fnmatchcase(key, only)
        }
        if not chosen:
            raise click.UsageError(
                f"{file} has no tensor {only or ''}; list them: wardian ls {file} --tensors"
            )
        write_safetensors(chosen, output, {"format": "pt"})
    echo(f"{output}: {len(chosen)} tensors, {size_text(os.stat(output).st_size)}")


@click.command(
    short_help="Write records to a folder.",
    epilog=examples("wardian extract resnet18.case -C sources 'torchvision/*'"),
)
@_file
@click.argument("pattern", metavar="[GLOB]", required=False)
@click.option(
    "-C", "--directory", required=True, type=click.Path(), help="The folder that the records go to."
)
def extract(file: str, pattern: str | None, directory: str) -> None:
    """Write the records of a file below a folder, each checked against its digest. Existing files stay."""
    folder = Path(directory)
    with opened(file) as (archive, _):
        chosen = [n for n in archive.names if pattern is None or fnmatch.fnmatchcase(n, pattern)]
        if not chosen:
            raise click.UsageError(f"{file} has no record {pattern}; list them: wardian ls {file}")
        there = [name for name in chosen if (folder / name).exists()]
        if there:
            raise click.UsageError(f"{folder / there[0]} exists; extract into an empty folder")
        for name in chosen:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(RecordName(name)))
    echo(f"{len(chosen)} records below {directory}")


@click.command(short_help="Show or clear the cache folder.", epilog=examples("wardian cache --clear"))
@click.option("--clear", "is_cleared", is_flag=True, help="Remove what no process uses.")
def cache(is_cleared: bool) -> None:
    """Show the folder of files that can be made again, with sizes; clear it.

    It is $WARDIAN_CACHE, else the user's cache folder. By itself Wardian keeps 16 GiB at most, and nothing
    that was not used for 90 days.
    """
    import wardian
    from wardian.live.cache import cache_folder, sizes

    folder = cache_folder()
    if folder is None:
        echo("there is no cache folder that can be used")
        return
    if is_cleared:
        echo(f"{folder}: {size_text(wardian.clear_cache())} removed")
        return
    echo(str(folder))
    for line in columns([(size_text(size), kind) for kind, size in sizes(folder).items()], indent="  "):
        echo(line)


COMMANDS = (pack, plan, check, run, weights, extract, cache)
"""The commands of this module, in the order of the help."""
