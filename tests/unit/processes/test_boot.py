"""What a clean process becomes, by the words that it was started with."""

from __future__ import annotations

import os
import sys

import pytest

from wardian.processes import boot


class Ended(BaseException):
    pass


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which this process would have ended."""
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    return statuses


def test_a_role_gets_its_argument_and_code_sees_no_words(
    ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "argv", ["-c", "serve", "1:5", "/lib"])
    monkeypatch.setitem(boot.ROLES, "serve", lambda argument: seen.append((argument, list(sys.argv))))
    with pytest.raises(Ended):
        boot.begin("serve", "1:5")
    assert seen == [("1:5", ["-c"])]
    assert ended == [0]


def test_work_ends_with_who_asked_and_a_path_may_have_a_colon(
    ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(boot, "end_with_parent", seen.append)
    monkeypatch.setattr(boot, "work", seen.append)
    with pytest.raises(Ended):
        boot.begin("work", "4711:/tmp/a:b/question")
    assert seen == [4711, "/tmp/a:b/question"]


def test_a_role_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError, match="rest"):
        boot.begin("rest", "")
