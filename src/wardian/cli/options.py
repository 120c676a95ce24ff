"""Arguments and options that several commands have, and what a glob among them chooses."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import TypeVar

import click

from wardian.cli.exits import AnswerIsNo
from wardian.cli.output import command, near_to

__all__ = ["file_argument", "json_option", "matching", "nothing_matches"]

file_argument = click.argument("file", type=click.Path())

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; docs/reference/cli.md has the keys."
)

_Name = TypeVar("_Name", bound=str)


def matching(names: Iterable[_Name], pattern: str | None) -> list[_Name]:
    """Return the names that a glob matches as a whole, in their order; all if there is no glob."""
    return [name for name in names if pattern is None or fnmatch.fnmatchcase(str(name), pattern)]


def nothing_matches(file: str, what: str, pattern: str, names: Iterable[str], *listing: str) -> AnswerIsNo:
    """Return the answer that a file has nothing of a name, with the names that may have been meant.

    Args:
        file: What the user calls it.
        what: What was looked for: "record", "tensor".
        pattern: The name, or the glob.
        names: What there is.
        listing: Words of the command that lists it.
    """
    near = near_to(pattern, names)
    hint = f"near to it: {', '.join(near)}" if near else f"list them: {command(*listing)}"
    return AnswerIsNo(f"{file} has no {what} {pattern}\n  {hint}")
