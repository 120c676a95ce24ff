"""Text for people, JSON for programs: on standard output; errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click

__all__ = ["columns", "echo", "echo_error", "echo_json", "examples", "is_terminal"]


def is_terminal() -> bool:
    """Tell whether a person reads standard output: no colour and no bar elsewhere."""
    return sys.stdout.isatty()


def echo(text: str = "", **style: Any) -> None:
    """Print a line; click leaves colours out where standard output is no terminal, or NO_COLOR is set."""
    click.echo(click.style(text, **style) if style else text)


def echo_json(data: Any) -> None:
    """Print data as one JSON document, one fact a line."""
    click.echo(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False))


def echo_error(text: str) -> None:
    """Print an error as one block on standard error."""
    head, _, rest = text.partition("\n")
    click.echo(f"{click.style('error:', fg='red', bold=True)} {head}", err=True)
    if rest:
        click.echo(rest, err=True)


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines, which click must not wrap."""
    return "\b\n" + "\n".join([f"Example{'s' if len(lines) > 1 else ''}:", *(f"  {line}" for line in lines)])


def columns(rows: Iterable[tuple[str, ...]], *, indent: str = "") -> list[str]:
    """Return rows of texts as lines, each column as wide as its longest text; the last is not padded.

    >>> columns([("torch", "2.15.0"), ("numpy", "2.4")])
    ['torch  2.15.0', 'numpy  2.4']
    """
    table = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in table), strict=True)]
    return [
        indent
        + "  ".join(
            [*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        for row in table
    ]
