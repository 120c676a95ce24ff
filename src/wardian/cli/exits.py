"""The exit codes of every command."""

from __future__ import annotations

from wardian.errors import CheckError, EnvironmentMismatchError, PackError

__all__ = ["NO", "UNANSWERED", "YES", "code_of"]

YES = 0
"""The answer is yes, or the work is done."""
NO = 1
"""The answer is no: it does not fit here, differs, is damaged, cannot be packed."""
UNANSWERED = 2
"""There is no answer: no such file, not a case, wrong usage."""

_ANSWERS = (CheckError, EnvironmentMismatchError, PackError)
"""Errors that are the answer no."""


def code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error."""
    return NO if isinstance(error, _ANSWERS) else UNANSWERED
