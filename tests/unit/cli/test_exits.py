"""Exit codes: yes, no, and no answer."""

from __future__ import annotations

import pytest

from wardian import errors
from wardian.cli.exits import NO, UNANSWERED, YES, AnswerIsNo, CodeFailed, code_of, running_code


def test_an_error_is_the_answer_no_only_if_it_is_one() -> None:
    answers = {
        name
        for name in errors.__all__
        if isinstance(kind := getattr(errors, name), type)
        and issubclass(kind, errors.WardianError)
        and code_of(kind.__new__(kind)) == NO
    }
    assert {
        "CheckError",
        "EnvironmentMismatchError",
        "PackError",
        "SignatureError",
        "UntrustedCaseError",
    } <= answers
    assert {"NotACaseError", "SandboxError", "PolicyFileError", "CorruptCaseError"}.isdisjoint(answers)
    assert code_of(OSError()) == code_of(KeyError()) == UNANSWERED
    assert (YES, AnswerIsNo("").exit_code) == (0, NO)


def test_what_the_system_refuses_code_is_no_file_of_the_user() -> None:
    with pytest.raises(CodeFailed) as caught, running_code():
        raise FileNotFoundError(2, "no such file", "weights.bin")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(),
        errors.RemoteError("gone", path="x"),
        errors.PolicyFileError("x", path="x"),
        KeyError(),
    ],
)
def test_all_other_errors_of_code_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, running_code():
        raise error
    assert caught.value is error
