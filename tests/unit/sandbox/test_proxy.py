"""An object in a cage as a caller sees it."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cages import Answer, playing
from tests.support import write_case
from wardian.errors import DigestMismatchError, SandboxError, UntrustedCaseError
from wardian.sandbox.launching import Limits
from wardian.sandbox.proxy import load_sandboxed, open_cage
from wardian.trust.policies import Trust
from wardian.trust.rules import Rules

REFUSING = Trust(Rules(max_size=1))


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case")


def echo(question: dict[str, Any]) -> Answer:
    named = question.get("arguments")
    return {"ok": ["l", question["do"], question.get("entry") or question.get("method"), named]}


def test_it_is_called_and_its_methods_by_their_names(case: Path) -> None:
    with playing(echo) as child, load_sandboxed(case, name="oak") as oak:
        assert child.asked[-1] == {"do": "load", "entry": "oak"}
        assert oak(1, by=2) == ["call", None, ((1,), {"by": 2})]
        assert oak.call("grow", method=3) == ["call", "grow", ((), {"method": 3})]
        assert oak.way == "landlock"
        assert repr(oak) == f"<SandboxedObject of {case} (landlock)>"


def test_leaving_it_ends_the_process(case: Path) -> None:
    with playing(echo) as child:
        with load_sandboxed(case) as oak:
            child.print(b"\x1b[2J")
            while oak.printed != r"\x1b[2J":
                os.sched_yield()
        assert child.process.returncode is not None
        with pytest.raises(SandboxError, match="runs no more: it was closed"):
            oak()
        oak.close()


def test_what_cannot_be_loaded_leaves_no_process(case: Path) -> None:
    with playing(lambda question: {"error": {"type": "KeyError", "text": "oak"}}) as child:
        with pytest.raises(SandboxError, match="raised KeyError: oak") as caught:
            load_sandboxed(case, name="oak")
        assert caught.value.reason == "raised"  # its frames still hold the cage
        assert child.process.returncode is not None


def test_calls_of_two_threads_do_not_mix(case: Path) -> None:
    with playing(echo), load_sandboxed(case) as oak:
        found: list[int] = []

        def call(number: int) -> None:
            found.extend(oak(number)[2][0][0] == number for _ in range(20))

        threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 80


def test_a_process_cannot_be_sent_to_another_one(case: Path) -> None:
    with playing(echo), load_sandboxed(case) as oak, pytest.raises(TypeError, match="load it there"):
        pickle.dumps(oak)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (lambda case: load_sandboxed(case, trust=REFUSING), UntrustedCaseError),
        (lambda case: open_cage(case, trust=REFUSING), UntrustedCaseError),
        (lambda case: load_sandboxed(case, digest="0" * 64), DigestMismatchError),
    ],
)
def test_nothing_is_started_for_what_is_refused(
    how: Callable[[Path], object], error: type[Exception], case: Path
) -> None:
    with playing(echo) as child:
        with pytest.raises(error):
            how(case)
        assert child.starts == []


def test_limits_are_what_the_caller_says_and_otherwise_some(case: Path) -> None:
    with (
        playing(echo) as child,
        load_sandboxed(case, memory=5, seconds=7, way="bubblewrap", timeout=3) as oak,
    ):
        assert oak.way == "bubblewrap"
        assert oak._cage._timeout == 3
        assert child.starts[0]["limits"] == Limits(memory=5, seconds=7)
    with playing(echo) as child:
        open_cage(case).close()
        assert child.starts[0]["limits"] == Limits(memory=4 << 30, seconds=3600)
