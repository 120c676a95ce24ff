"""The exit codes of every command."""

from __future__ import annotations

import click

from wardian.errors import CheckError, EnvironmentMismatchError, PackError, SignatureError, UntrustedCaseError

__all__ = ["AnswerIsNo", "NO", "UNANSWERED", "YES", "code_of"]

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


def code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error."""
    return NO if isinstance(error, _ANSWERS) else UNANSWERED
