"""A report fits on a dozen lines and tells what was proven, in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import MANIFEST, PLAN
from wardian.domain.manifest import Manifest
from wardian.packing.report import Attempt, PackReport


def _report(manifest: Manifest = MANIFEST, **facts: Any) -> PackReport:
    known: dict[str, Any] = {
        "path": Path("oak.case"),
        "digest": "ab" * 32,
        "size": 11_292,
        "plan": PLAN,
        "manifest": manifest,
        "warnings": (),
        "left_out": (),
        "seconds": {"pickle": 0.1, "prove": 2.0},
    }
    return PackReport(**{**known, **facts})


def test_it_tells_what_must_be_there_from_what_may_be() -> None:
    numpy = replace(MANIFEST.externs[0], distribution="numpy", version="2.0", soft=True)
    text = str(_report(replace(MANIFEST, externs=(*MANIFEST.externs, numpy))))
    assert "  outside: needed: torch 1.0; optional: numpy 2.0\n" in text
    assert "optional" not in str(_report())


@pytest.mark.parametrize(
    ("proof", "test", "outputs", "words"),
    [
        ("passed", "test.pkl", True, "the object was loaded and called, outputs equal"),
        (
            "passed",
            "test.pkl",
            False,
            "the object was loaded and called; its outputs cannot be kept, and were not compared",
        ),
        ("passed", None, False, "only loaded: no inputs were given"),
        ("skipped", "test.pkl", False, "not proven"),
    ],
)
def test_it_says_in_words_what_was_proven(proof: Any, test: str | None, outputs: bool, words: str) -> None:
    entry = replace(MANIFEST.entries[0], test=test, outputs=outputs)
    report = _report(replace(MANIFEST, proof=proof, entries=(entry,)))
    assert report.manifest.proven == words
    assert f"  proof: {words}\n" in str(report)
    assert words in repr(report)
    assert words in repr(report.manifest)


def test_each_attempt_has_its_seconds_and_its_reason() -> None:
    attempts = (Attempt(3.84, "ImportError: numpy", "numpy needed"), Attempt(2.0, None, None))
    text = str(_report(attempts=attempts))
    assert "not proven, at attempt 2\n" in text
    assert "  attempt: failed after 3.8 s: ImportError: numpy; then numpy needed\n" in text
    assert "prove 2.0 s" in text
    assert "attempt" not in str(_report(attempts=attempts[1:]))


def test_the_first_note_is_told_however_many_there_are() -> None:
    assert "  note: dropout\n" in f"{_report(notes=('dropout',))}\n"
    assert "  note: dropout (2 more in report.notes)\n" in f"{_report(notes=('dropout', 'b', 'c'))}\n"


def test_it_fits_on_a_dozen_lines_whatever_happened() -> None:
    failed = Attempt(1.0, "Error: " + "long " * 99, "numpy needed")
    report = _report(
        attempts=(failed,) * 4,
        warnings=tuple(f"warning {number}\nin two lines" for number in range(9)),
        notes=tuple(f"note {number}" for number in range(9)),
        left_out=tuple(f"thing {number}" for number in range(9)),
    )
    assert len(str(report).splitlines()) <= 12
    assert "8 more in report.warnings" in str(report)
    for thing in (report, report.plan, report.manifest):
        assert len(repr(thing).splitlines()) == 1
        assert len(repr(thing)) < 400
