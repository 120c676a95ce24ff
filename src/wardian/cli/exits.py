"""The exit codes of every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from wardian.errors import (
    CheckError,
    EnvironmentMismatchError,
    PackError,
    SignatureError,
    UntrustedCaseError,
    WardianError,
)

__all__ = ["AnswerIsNo", "CodeFailed", "NO", "UNANSWERED", "YES", "code_of", "running_code"]

YES = 0
"""The answer is yes, or the work is done."""
NO = 1
"""The answer is no: it does not fit here, differs, is damaged, not signed, cannot be packed."""
UNANSWERED = 2
"""There is no answer: no such file, not a case, wrong usage."""

_ANSWERS = (CheckError, EnvironmentMismatchError, PackError, SignatureError, UntrustedCaseError)
"""Errors that are the answer no."""


class AnswerIsNo(click.ClickException):
    """A command has looked, and the answer is no: it says why on standard error."""

    exit_code = NO


class CodeFailed(Exception):  # noqa: N818  it is told as its cause
    """Code of the user, or of a case, has raised what would look like an error about a file of the user's."""


@contextmanager
def running_code() -> Iterator[None]:
    """Run code of the user, or of a case: what the system refuses it is none of Wardian's own answers.

    Raises:
        CodeFailed: for an OSError that is none of Wardian's, its cause.
    """
    try:
        yield
    except (WardianError, BrokenPipeError):
        raise
    except OSError as error:
        raise CodeFailed from error


def code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error."""
    return NO if isinstance(error, _ANSWERS) else UNANSWERED
