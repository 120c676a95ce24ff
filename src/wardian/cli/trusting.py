"""Commands about trust: the user's policy, made, added to and shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wardian.cli.exits import NO
from wardian.cli.opening import name_of, opened
from wardian.cli.options import json_option
from wardian.cli.output import echo, echo_json, echo_text, examples, write_output

if TYPE_CHECKING:
    from wardian.trust.policies import Trust

__all__ = ["COMMANDS", "add", "init", "show", "trust"]

_NEW = """\
# Whose cases may run, and what they may hold. It is asked before any packed code runs where the environment
# has WARDIAN_TRUST=require (or warn), and by wardian.load(path, trust=wardian.Trust.from_file(...)).
# What is left out is allowed; docs/how-to/trust-policy.md has every key.

[trust]
# A case must be signed by somebody in this file, or be one of those with these digests:
signers = "allowed_signers"   # wardian trust add alice@example.com alice.pub
digests = []                  # wardian trust add FILE

# Libraries such as torchvision bring compiled code along. It may run where it is of a distribution, and not
# where it is of nobody: of the packed project, or named by a pickle alone. `false` refuses all of it.
native = { deny = ["first-party"] }
torch_package = false         # no archives of torch.package, which have no digests
# max_size = "20 GB"

# [trust.capabilities]
# deny = ["network", "processes"]

# [trust.distributions]
# allow = ["first-party", "torchvision>=0.20"]
"""

_FOLDER_MODE, _FILE_MODE = 0o700, 0o644
"""A file that others can write is no policy, and with some umasks a group can."""

_policy = click.option(
    "--policy",
    type=click.Path(dir_okay=False),
    help="The policy; without it that of the user, in the configuration folder.",
)


@click.group(
    short_help="Whose cases may run: the user's policy.",
    epilog=examples(
        "wardian trust init", "wardian trust add resnet18.case", "wardian trust show resnet18.case"
    ),
)
def trust() -> None:
    """Make, add to and show the policy about whose cases may run, and what they may hold.

    It is asked before packed code runs where the environment has WARDIAN_TRUST=require or warn.
    """


@trust.command(short_help="Write a policy that trusts nobody.", epilog=examples("wardian trust init"))
@_policy
def init(policy: str | None) -> None:
    """Write a policy that trusts nobody yet, with every key explained. An existing one stays."""
    from wardian.trust.ownership import require_own
    from wardian.trust.policies import SIGNERS

    path = _path(policy)
    path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    require_own(path)
    try:
        path.touch(_FILE_MODE, exist_ok=False)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; show it: wardian trust show") from None
    path.write_text(_NEW, "utf-8")
    (path.parent / SIGNERS).touch(_FILE_MODE)
    echo(f"{path}: it trusts nobody yet")
    echo("  a signer:  wardian trust add NAME KEY.pub")
    echo("  a file:    wardian trust add FILE")
    echo("  it counts where the environment has WARDIAN_TRUST=require")


@trust.command(
    short_help="Trust a signer, or a file.",
    epilog=examples("wardian trust add alice@example.com alice.pub", "wardian trust add resnet18.case"),
)
@click.argument("what")
@click.argument("key", required=False, type=click.Path(exists=True, dir_okay=False))
@_policy
@click.pass_context
def add(context: click.Context, what: str, key: str | None, policy: str | None) -> None:
    """Add the name and public key of a signer to a policy; or, without KEY, the digest of the case WHAT.

    Exit code 1, and nothing is added, if other rules of the policy refuse WHAT whatever its digest is.
    """
    path = _path(policy)
    trusted = _read(path)
    if key is None:
        from wardian.trust.judging import Facts, refusal

        with opened(what) as (archive, manifest):
            digest, known = archive.fingerprint, trusted.rules.digests or ()
            then = replace(trusted, rules=replace(trusted.rules, digests=(*known, digest)))
            facts = Facts(archive, manifest, what)
            error = refusal(name_of(what), facts, then, "its digest was not added, and would not help")
        if error is not None:
            echo_text(error.text())
            context.exit(NO)
        if digest not in known:
            _add_digest(path, digest, name_of(what))
        echo(f"{path} trusts {name_of(what)}")
        echo(f"  digest {digest}")
        return
    if trusted.rules.signers is None:
        raise click.UsageError(f'{path} asks for no signatures; put into it: signers = "allowed_signers"')
    signers = Path(trusted.rules.signers)
    line = _signer(what, key)
    if not signers.exists():
        signers.touch(_FILE_MODE)
    text = signers.read_text("utf-8")
    if line not in text.splitlines():
        write_output(str(signers), f"{text.rstrip()}\n{line}\n".lstrip().encode())
    echo(f"{signers} trusts {what}")


def _signer(name: str, key: str) -> str:
    """Return the line that trusts a signer."""
    from wardian.trust.allowed_signers import AllowedSigners
    from wardian.trust.sshsig import NAMESPACE

    if not re.fullmatch(r"[\w.@+-]+", name):
        raise click.UsageError(f"{name!r} is no name of a signer, such as alice@example.com")
    words = Path(key).read_text("utf-8", "replace").split()[:2]
    line = f'{name} namespaces="{NAMESPACE}" {" ".join(words)}'
    for problem in AllowedSigners.parse(line.encode(), key).problems:
        raise click.UsageError(f"{key} is no public SSH key: {problem.what.partition(': ')[2]}")
    return line


def _add_digest(path: Path, digest: str, name: str) -> None:
    import tomlkit  # keeps comments, and the form of what is there

    document = tomlkit.parse(path.read_text("utf-8"))
    table = document["trust"]
    assert isinstance(table, tomlkit.items.Table)
    if "digests" not in table:
        table["digests"] = tomlkit.array()
    digests = table["digests"]
    assert isinstance(digests, tomlkit.items.Array)
    digests.add_line(digest, comment=ascii(Path(name).name)[1:-1])
    write_output(str(path), tomlkit.dumps(document).encode())


@trust.command(
    short_help="Show a policy, or what it says of a file.",
    epilog=examples("wardian trust show", "wardian trust show resnet18.case"),
)
@click.argument("file", required=False, type=click.Path())
@_policy
@click.option("--all", "shows_all", is_flag=True, help="List every finding, not only the first of each rule.")
@json_option
@click.pass_context
def show(
    context: click.Context, file: str | None, policy: str | None, shows_all: bool, as_json: bool
) -> None:
    """Show a policy, and whether the environment asks for it; with FILE, what it says of that.

    --all and --json go with FILE.

    Exit code 1 if the policy refuses FILE.
    """
    from wardian.trust.modes import TRUST_VARIABLE, mode_here

    path = _path(policy)
    if file is None:
        from wardian.trust.allowed_signers import AllowedSigners

        if as_json:
            raise click.UsageError("a policy is TOML, which programs read; --json goes with FILE")
        if shows_all:
            raise click.UsageError("--all lists what of a FILE breaks the policy")
        echo(f"{TRUST_VARIABLE}={mode_here()}")
        if not path.exists():
            echo(f"{path} is not there; make it: wardian trust init")
            return
        trusted = _read(path)
        echo(str(path))
        for line in path.read_text("utf-8").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                echo(f"  {line}")
        if trusted.rules.signers is not None:
            echo(trusted.rules.signers)
            signers = Path(trusted.rules.signers)
            for line in signers.read_text("utf-8").splitlines() if signers.exists() else ():
                echo(f"  {line}")
            for problem in AllowedSigners.read(signers).problems if signers.exists() else ():
                echo(problem.what)
        return
    from wardian.trust.judging import Facts, refusal

    if as_json and not path.exists():
        # The exit code is that of no answer; a program still finds the reason where it looks.
        reason = {"rule": "", "what": f"{path} is not there", "fix": "wardian trust init"}
        echo_json({"path": name_of(file), "policy": str(path), "trusted": False, "problems": [reason]})
    with opened(file) as (archive, manifest):
        error = refusal(name_of(file), Facts(archive, manifest, file), _read(path))
    if as_json:
        problems = () if error is None else error.problems
        plain = [{"rule": problem.rule, "what": problem.what, "fix": problem.fix} for problem in problems]
        echo_json({"path": name_of(file), "policy": str(path), "trusted": error is None, "problems": plain})
    else:
        trusted_by = f"{name_of(file)} is trusted by {path}"
        echo_text(trusted_by if error is None else error.text(shows_all=shows_all))
    if error is not None:
        context.exit(NO)


def _path(policy: str | None) -> Path:
    from wardian.trust.policies import user_policy_path

    return user_policy_path() if policy is None else Path(policy).absolute()


def _read(path: Path) -> Trust:
    from wardian.trust.policies import Trust

    try:
        return Trust.from_file(path)
    except FileNotFoundError:
        raise click.UsageError(f"{path} is not there; make it: wardian trust init") from None


COMMANDS = (trust,)
"""The commands of this module, in the order of the help."""
