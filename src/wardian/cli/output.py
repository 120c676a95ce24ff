"""Text for people, JSON for programs: on standard output; errors on standard error."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TextIO

import click

from wardian.archive.remote.urls import is_url, shown
from wardian.errors import WardianWarning
from wardian.wording import near_to, printable

__all__ = [
    "Line",
    "check_output",
    "columns",
    "command",
    "echo",
    "echo_error",
    "echo_json",
    "echo_lines",
    "echo_note",
    "echo_text",
    "echo_warning",
    "examples",
    "folded",
    "is_terminal",
    "keep_whole",
    "near_to",
    "plain_warnings",
    "prepare_streams",
    "printable",
    "write_output",
]


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def prepare_streams() -> None:
    """Make standard output and error take any text, whatever their encoding, also where they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  until the process ends
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def check_output(output: str | None, *inputs: str) -> None:
    """Refuse an output that is one of the inputs, a folder, or in none, before anything is done.

    Args:
        output: A path, "-" for standard output, or None if there is none.
        inputs: Paths that are read; URLs and what is not there count for nothing.

    Raises:
        click.UsageError: if it cannot be meant.
    """
    if output is None or output == "-":
        return
    if is_url(output):
        raise click.UsageError(
            f"-o is a URL, {shown(output)}, and must be a file; wardian push FILE URL then puts a case there"
        )
    if any(
        os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output) for path in inputs
    ):
        raise click.UsageError(f"{output} is what is read, and would be gone; -o must be another file")
    if os.path.isdir(output):
        raise click.UsageError(f"{output} is a folder; name a file in it")
    folder = os.path.dirname(output) or os.curdir
    if not os.path.isdir(folder):
        raise click.UsageError(
            f"there is no folder {folder} for {os.path.basename(output)}; mkdir -p {folder}"
        )


def write_output(output: str, content: bytes) -> None:
    """Write a file, or leave the one that is there as it was.

    Args:
        output: Its path, or "-" for standard output.
        content: All of it.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    if output == "-":
        sys.stdout.buffer.write(content)
        return
    from wardian.archive.replacing import ReplacingFile

    with ReplacingFile(output) as file:
        file.write(content)
        file.publish()


def is_terminal() -> bool:
    """Tell whether a person reads standard output: no colour and no bar elsewhere."""
    return sys.stdout.isatty()


def echo(text: str = "", **style: Any) -> None:
    """Print a line; click leaves colours out where standard output is no terminal, or NO_COLOR is set."""
    text = printable(text)
    click.echo(click.style(text, **style) if style else text)


def echo_json(data: Any) -> None:
    """Print data as one JSON document, one fact a line."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=not encoding.startswith("utf"))
    # Half a character, as in a file name that is no UTF-8, has no form in UTF-8, but in JSON it has.
    click.echo(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def echo_error(text: str) -> None:
    """Print an error as one block on standard error."""
    _echo_block("error:", "red", text)


def echo_warning(text: str) -> None:
    """Print a warning as one block on standard error."""
    _echo_block("warning:", "yellow", text)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings of Wardian as sentences, each once: a line of Wardian's own code tells a user nothing.

    One is given more than once where a command asks before it says that code runs, and loading asks again.
    """
    told: set[str] = set()
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, WardianWarning):
            others(message, category, filename, lineno, file, line)
        elif str(message) not in told:
            told.add(str(message))
            echo_warning(str(message))

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = others


def _echo_block(label: str, color: str, text: str) -> None:
    head, *rest = printable(text).rstrip().split("\n")
    first = _lines_for(sys.stderr, Line(head, f"{label} ", below="  "))
    click.echo(f"{click.style(label, fg=color, bold=True)}{first[0].removeprefix(label)}", err=True)
    for part in (*first[1:], *(part for line in rest for part in _lines_for(sys.stderr, line))):
        click.echo(part, err=True)


def echo_note(text: str) -> None:
    """Print on standard error what is said beside the answer."""
    for line in printable(text).split("\n"):
        for part in _lines_for(sys.stderr, line):
            click.echo(part, err=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One fact: a line in a pipe, however long, and in a terminal as many as it needs."""

    text: str
    head: str = ""
    """The beginning of the first line."""
    below: str | None = None
    """The beginning of the other lines; if left out, as many spaces as the head has."""
    is_whole: bool = False
    """Whether it is code or a command: only the terminal itself may break it, since people copy it."""
    style: Mapping[str, Any] = field(default_factory=dict)
    """As `click.style` takes it."""


_WHOLE = re.compile(r"\s*(?:fix:|help:|File \"|\^)|\s{4,}(?!-> )")
"""How lines of a text begin that are code, commands, or of a traceback."""


def _line_of(text: str) -> Line:
    """Return a text as a fact, or as code if it looks like it."""
    indent = text[: len(text) - len(text.lstrip())]
    return Line(text, below=f"{indent}    ", is_whole=_WHOLE.match(text) is not None)


def _lines_for(stream: Any, line: Line | str) -> list[str]:
    """Return a line as a stream gets it: folded if people read it, and if it is no code."""
    line = _line_of(line) if isinstance(line, str) else line
    if line.is_whole or not stream.isatty():
        return [line.head + line.text]
    width = shutil.get_terminal_size().columns
    return folded(line.text, line.head, below=line.below, width=width) or [line.head.rstrip()]


def echo_lines(lines: Iterable[Line | str]) -> None:
    """Print a page: one fact a line; a terminal gets facts folded at its width, and code and commands whole.

    A line that is a text is a fact, or code if it looks like it.
    """
    for line in lines:
        fact = _line_of(line) if isinstance(line, str) else line
        shown = replace(fact, text=_in_one_line(fact.text), head=_in_one_line(fact.head))
        for part in _lines_for(sys.stdout, shown):
            click.echo(click.style(part, **fact.style) if fact.style else part)


def _in_one_line(text: str) -> str:
    """Return what a terminal shows as it is, and in one line: a name in a stranger's file may have two."""
    return printable(text).replace("\n", "\\n")


def echo_text(text: str) -> None:
    """Print a text of several lines, as `echo_lines` prints a page."""
    echo_lines(text.split("\n"))


def command(*words: str) -> str:
    """Return a command line that can be copied into a shell.

    >>> command("wardian", "check", "my model.case")
    "wardian check 'my model.case'"
    """
    return shlex.join(words)


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines, which click must not wrap."""
    return "\b\n" + "\n".join([f"Example{'s' if len(lines) > 1 else ''}:", *(f"  {line}" for line in lines)])


def folded(text: str, head: str = "", *, below: str | None = None, width: int = 80) -> list[str]:
    """Return a text in lines of a terminal, what does not fit below the first.

    Words are not broken, nor is what people copy: what is in quotation marks, and commands. Nor are shapes.

    Args:
        text: The text.
        head: What the first line begins with.
        below: What the others begin with; as many spaces as the head has, if that is left out.
        width: Of the terminal.

    >>> folded("one two three", "  a ", width=11)
    ['  a one two', '    three']
    """
    for words in _kept:
        text = text.replace(words, words.replace(" ", _GLUE))
    lines = textwrap.wrap(
        _COPIED.sub(lambda found: found[0].replace(" ", _GLUE), text),
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head) if below is None else below,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]


_COPIED = re.compile(
    r"""(?<!\w) (?: '[^']*' | "[^"]*" | `[^`]*` ) (?!\w)
    | \[ [\d, ]* \]
    | (?: ^ | (?<=:[ ]) | (?<=;[ ]) ) (?:wardian|pip|python|mkdir|ssh-keygen) [ ] .*""",
    re.VERBOSE,
)
_kept: set[str] = set()


def keep_whole(words: Iterable[str]) -> None:
    """Break none of the words of a command line in two where texts are folded: paths may have spaces."""
    _kept.clear()
    _kept.update(path for word in words if " " in word for path in (word, os.path.abspath(word)))


_GLUE = "\0"
"""Stands for a space in them: no text that is printed has it."""


def columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
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
