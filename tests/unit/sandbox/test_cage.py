"""The questions to a child and its answers, of which none is believed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cages import Answer, playing
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.errors import SandboxError
from wardian.sandbox.cage import Cage
from wardian.sandbox.launching import Limits
from wardian.sandbox.memory import Region
from wardian.sandbox.wire import LENGTH, MOST

LIMITS = Limits(memory=1 << 20, seconds=10)
CHECKED: dict[str, Any] = {
    "passed": True,
    "problem": None,
    "text": "the same",
    "entries": [{"name": "oak", "outcome": "the same", "largest": 0.5, "differences": []}],
}
DIFFERENCE = {"where": "outputs", "what": "larger", "size": 1, "tolerated": False}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveReader]:
    with ArchiveReader.open(write_case(tmp_path / "oak.case")) as opened:
        yield opened


def caged(archive: ArchiveReader, timeout: float | None = 60.0) -> Cage:
    return Cage(archive, limits=LIMITS, timeout=timeout)


def has_ended(cage: Cage) -> bool:
    return cage._started.process.returncode is not None


# Starting


def test_the_child_is_given_the_file_its_name_and_its_digest(archive: ArchiveReader) -> None:
    with playing(lambda question: None) as child, caged(archive) as cage:
        assert child.starts == [
            {
                "path": str(archive.path),
                "name": "oak.case",
                "digest": archive.fingerprint,
                "limits": LIMITS,
                "way": None,
                "size": len(archive),
            }
        ]
        assert [question["do"] for question in child.asked] == ["open"]
        assert cage.label == archive.label
    assert has_ended(cage)


def test_content_in_memory_is_written_to_a_file_for_as_long_as_it_is_opened(tmp_path: Path) -> None:
    content = write_case(tmp_path / "oak.case").read_bytes()
    seen: list[bytes] = []
    with ArchiveReader.open(content) as archive, playing(lambda question: None) as child:
        start = child.start

        def reading(path: str, *words: Any, **named: Any) -> Any:
            seen.append(Path(path).read_bytes())
            return start(path, *words, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("wardian.sandbox.cage.start", reading)
            caged(archive).close()
    assert seen == [content]
    assert not Path(child.starts[0]["path"]).exists()


def test_a_child_that_cannot_begin_is_ended(archive: ArchiveReader) -> None:
    greeting = {"error": {"type": "OSError", "text": "no"}}
    with playing(lambda question: None, greeting=greeting) as child:
        with pytest.raises(SandboxError, match=r"raised OSError: no") as caught:
            caged(archive)
        assert caught.value.reason == "raised"
        assert child.process.returncode is not None


# Calling


def test_a_call_carries_tensors_both_ways(archive: ArchiveReader) -> None:
    def double(question: dict[str, Any]) -> Answer:
        from wardian.sandbox.wire import decode, encode
        from wardian.tensors.crossing import Outgoing, received

        region = child.region
        assert region is not None
        (given,), named = decode(
            question["arguments"], received(question["tensors"], region.map, region.size)
        )
        outgoing = Outgoing()
        form = encode({"out": given * 2, "named": named, "method": question["method"]}, outgoing.put)
        outgoing.write(region.map)
        return {"ok": form, "tensors": outgoing.described}

    with playing(double) as child, caged(archive) as cage:
        for size in (3, 5000):  # the second one needs more memory
            found = cage.call("grow", (torch.arange(size),), {"by": 3})
            assert torch.equal(found.pop("out"), torch.arange(size) * 2)
            assert found == {"named": {"by": 3}, "method": "grow"}


def test_a_result_gets_the_room_that_the_child_asks_for(archive: ArchiveReader) -> None:
    answers: dict[str, Answer] = {"call": {"grow": 100_000}, "go on": {"ok": 7}}
    with playing(lambda question: answers[question["do"]]) as child, caged(archive) as cage:
        assert cage.call(None, (), {}) == 7
        assert child.region is not None
        assert child.region.size >= 100_000
        assert [question["do"] for question in child.asked] == ["open", "call", "go on"]


def test_what_cannot_cross_is_no_question_and_ends_nothing(archive: ArchiveReader) -> None:
    with playing(lambda question: {"ok": 1}) as child, caged(archive) as cage:
        with pytest.raises(TypeError, match="only tensors and plain data"):
            cage.call(None, (object(),), {})
        assert cage.call(None, (), {}) == 1
        assert [question["do"] for question in child.asked] == ["open", "call"]


def test_an_error_of_the_code_is_told_and_the_child_goes_on(archive: ArchiveReader) -> None:
    answers = iter(list[Answer]([{"error": {"type": "Value\x1bError", "text": "\x1b[2J"}}, {"ok": 1}]))
    with playing(lambda question: next(answers)) as child, caged(archive) as cage:
        child.print(b"before\n")
        with pytest.raises(SandboxError) as caught:
            cage.call(None, (), {})
        assert str(caught.value).startswith(rf"the code of {archive.label} raised Value\x1bError: \x1b[2J")
        assert (caught.value.reason, caught.value.path) == ("raised", archive.label)
        assert cage.call(None, (), {}) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (LENGTH.pack(MOST + 1), "its answer has 4,194,305 bytes, more than 4,194,304"),
        (LENGTH.pack(2) + b"[]", "it is no object"),
        ({}, "neither a result nor an error"),
        ({"error": "no"}, "no type and no text"),
        ({"error": {"type": 1, "text": "no"}}, "no type and no text"),
        ({"grow": 0}, "larger than it may be"),
        ({"grow": LIMITS.memory + 1}, "larger than it may be"),
        ({"grow": True}, "larger than it may be"),
        ({"grow": "1"}, "larger than it may be"),
        ({"ok": ["x", 0]}, "what is no answer"),
        ({"ok": ["x", 0], "tensors": [{}]}, "what is no answer"),
    ],
)
def test_what_is_no_answer_ends_the_child(answer: Answer, words: str, archive: ArchiveReader) -> None:
    with playing(lambda question: answer), caged(archive) as cage:
        with pytest.raises(SandboxError, match=words) as caught:
            cage.call(None, (), {})
        assert caught.value.reason == "answer"
        assert has_ended(cage)
        with pytest.raises(SandboxError, match=f"runs no more: .*{words}.*; load it again") as again:
            cage.call(None, (), {})
        assert again.value.reason == "ended"


def test_no_answer_in_time_ends_the_child(archive: ArchiveReader) -> None:
    with playing(lambda question: None) as child, caged(archive) as cage:
        cage._timeout = 0.01
        child.print(b"thinking\n")
        with pytest.raises(SandboxError, match=r"it took longer than 0\.01 s") as caught:
            cage.call(None, (), {})
        assert caught.value.reason == "time"
        assert has_ended(cage)


def test_a_child_that_ends_is_told_with_its_status_and_what_it_printed(archive: ArchiveReader) -> None:
    def end(question: dict[str, Any]) -> Answer:
        child.print(b"out of memory\n")
        child.end()
        raise OSError  # its end of the wire goes with it

    with playing(end) as child, caged(archive) as cage:
        with pytest.raises(SandboxError, match="its process ended with status 0\nout of memory") as caught:
            cage.call(None, (), {})
        assert (caught.value.reason, caught.value.output) == ("ended", "out of memory\n")


def test_a_call_that_was_interrupted_leaves_no_answer_to_the_next(
    archive: ArchiveReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(until: float | None) -> Any:
        raise KeyboardInterrupt

    with playing(lambda question: {"ok": 1}), caged(archive) as cage:
        monkeypatch.setattr(cage, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            cage.call(None, (), {})
        assert has_ended(cage)
        with pytest.raises(SandboxError, match="runs no more: a call was interrupted"):
            cage.load(None)


# Self-tests


@pytest.mark.parametrize("differences", [[], [DIFFERENCE], [DIFFERENCE | {"size": None}] * 2])
def test_a_report_comes_as_it_is(differences: list[dict[str, Any]], archive: ArchiveReader) -> None:
    report = {**CHECKED, "entries": [{**CHECKED["entries"][0], "differences": differences}]}
    with playing(lambda question: {"ok": report}) as child, caged(archive) as cage:
        assert cage.check("oak", exact=True) == report
        assert child.asked[-1] == {"do": "check", "entry": "oak", "exact": True}


@pytest.mark.parametrize(
    "report",
    [
        None,
        [],
        {key: value for key, value in CHECKED.items() if key != "text"},
        {**CHECKED, "more": 1},
        {**CHECKED, "passed": 1},
        {**CHECKED, "entries": [{}]},
        {**CHECKED, "entries": [{**CHECKED["entries"][0], "largest": True}]},
        {
            **CHECKED,
            "entries": [{**CHECKED["entries"][0], "differences": [{**DIFFERENCE, "tolerated": None}]}],
        },
    ],
)
def test_a_report_that_is_none_ends_the_child(report: Any, archive: ArchiveReader) -> None:
    with playing(lambda question: {"ok": report}), caged(archive) as cage:
        with pytest.raises(SandboxError, match="its report is none"):
            cage.check(None, exact=False)
        assert has_ended(cage)


# What it prints, and its end


def test_the_last_of_what_is_printed_is_kept_and_escaped(archive: ArchiveReader) -> None:
    with playing(lambda question: {"ok": None}) as child, caged(archive) as cage:
        child.print(b"x" * (64 << 10))
        cage.call(None, (), {})
        child.print(b"\x1b[2Jend")
        while not cage.printed.endswith("end"):
            os.sched_yield()
        assert cage.printed.endswith(r"xx\x1b[2Jend")
        assert len(cage._printed) == 64 << 10


def test_to_close_ends_a_call_of_another_thread_and_may_come_twice(archive: ArchiveReader) -> None:
    asked, errors = threading.Event(), list[str]()

    def never(question: dict[str, Any]) -> Answer:
        asked.set()
        child.process.wait()
        raise OSError

    def call() -> None:
        with pytest.raises(SandboxError) as caught:
            cage.call(None, (), {})
        errors.append(caught.value.reason)

    with playing(never) as child:
        cage = caged(archive, timeout=None)
        thread = threading.Thread(target=call)
        thread.start()
        asked.wait()
        cage.kill()
        thread.join()
        cage.close()
        cage.close()
    assert errors == ["ended"]


def test_nothing_stays_open(archive: ArchiveReader) -> None:
    with playing(lambda question: {"ok": None}) as child:
        before = len(os.listdir("/proc/self/fd"))
        with caged(archive) as cage:
            cage.call(None, (torch.ones(3),), {})
            assert isinstance(cage._region, Region)
        child.close()
        child.region = None
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_fork_of_the_owner_neither_asks_nor_ends_the_child(
    archive: ArchiveReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing(lambda question: {"ok": 1}), caged(archive) as cage:
        with monkeypatch.context() as fork:
            fork.setattr(os, "getpid", lambda: -1)
            with pytest.raises(SandboxError, match="this one is a fork of; load it again here"):
                cage.call(None, (), {})
            cage.kill()
        assert cage.call(None, (), {}) == 1
