"""The group of commands, and what becomes of errors."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click
import pytest

from wardian.cli import app
from wardian.cli.app import commands, run
from wardian.cli.exits import AnswerIsNo, CodeFailed
from wardian.errors import CheckError, NotACaseError


@pytest.fixture
def raising() -> Iterator[list[BaseException]]:
    """A command `raise`, which raises what a test puts here, and prints nothing."""
    errors: list[BaseException] = []

    @commands.command("raise")
    @click.argument("words", nargs=-1)
    def command(words: tuple[str, ...]) -> NoReturn:
        raise errors[0]

    yield errors
    del commands.commands["raise"]


def failed_code() -> CodeFailed:
    error = CodeFailed()
    error.__cause__ = FileNotFoundError(2, "no such file", "weights.bin")
    return error


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (AnswerIsNo("nothing of it"), 1, "error: nothing of it\n"),
        (click.ClickException("it takes too long"), 2, "error: it takes too long\n"),
        (click.UsageError("which?"), 2, "error: which?\n"),
        (click.Abort(), 130, "error: interrupted\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (click.exceptions.Exit(7), 7, ""),
        (CheckError("it differs"), 1, "error: it differs\n  see: "),
        (NotACaseError("a picture", path="x"), 2, "error: a picture\n  see: "),
        (FileNotFoundError(errno.ENOENT, "no such file", "oak.case"), 2, "error: oak.case: no such file\n"),
        (OSError(errno.ENOSPC, "it is full"), 2, "error: it is full\n"),
        (KeyError("oak"), 2, "error: KeyError: 'oak'\n  wardian --debug ... shows where\n"),
        (
            failed_code(),
            2,
            "error: FileNotFoundError: [Errno 2] no such file: 'weights.bin'\n  wardian --debug",
        ),
    ],
)
def test_an_error_is_told_in_one_block_and_has_its_code(
    error: BaseException,
    code: int,
    told: str,
    raising: list[BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    raising.append(error)
    assert run(["raise"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words", [["--debug", "raise"], ["raise", "--debug"], ["raise", "x", "--debug", "--"]]
)
def test_a_traceback_is_shown_wherever_it_is_asked_for(
    words: list[str], raising: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    raising.append(KeyError("oak"))
    assert run(words) == 2
    assert capsys.readouterr().err.startswith("Traceback")


def test_what_comes_after_two_hyphens_is_no_option(
    raising: list[BaseException], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising.append(KeyError("oak"))
    seen: list[list[str]] = []
    make = commands.make_context

    def noting(name: str, words: list[str], **more: Any) -> click.Context:
        seen.append(list(words))
        return make(name, words, **more)

    monkeypatch.setattr(commands, "make_context", noting)
    run(["raise", "--", "--debug"])
    run(["--debug", "raise", "--", "--debug"])
    assert seen == [["raise", "--", "--debug"]] * 2
    assert capsys.readouterr().err.count("Traceback") == 1


def test_wrong_usage_names_the_help_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info"]) == 2
    assert "help: wardian info --help" in capsys.readouterr().err
    assert run(["infos"]) == 2
    assert run([]) == 2
    assert "Usage: wardian" in capsys.readouterr().err
    assert run(["--version"]) == 0


def test_a_reader_that_has_enough_is_no_failure(
    raising: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    raising.append(BrokenPipeError())
    with open(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        before = len(os.listdir("/proc/self/fd"))
        assert run(["raise"]) == 0
        assert len(os.listdir("/proc/self/fd")) == before
        pipe.write("nobody reads it")  # nor does the interpreter complain when it flushes


def test_an_output_that_cannot_be_flushed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "it is full")

    monkeypatch.setattr(sys, "stdout", Full())
    assert run(["cache", "--json"]) == 2
    assert "error: it is full" in capsys.readouterr().err


def test_every_command_has_a_short_help_that_is_a_sentence() -> None:
    for name, command in app.commands.commands.items():
        assert command.short_help, name
        assert command.short_help.endswith("."), name
