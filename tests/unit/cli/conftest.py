"""The command, called in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wardian.cli.app import run

Command = Callable[..., tuple[int, str, str]]
"""Takes the words after `wardian`, and returns the exit code, what was printed, and what was told."""


@pytest.fixture
def wardian(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call
