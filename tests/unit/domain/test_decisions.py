"""Decisions are told as a sentence and stand in the order of their modules."""

from __future__ import annotations

from wardian.domain.decisions import FIRST_PARTY, Decision, PackedFile
from wardian.domain.names import ModuleName, record_name
from wardian.domain.policy import Action


def test_a_decision_is_told_with_its_reason() -> None:
    decision = Decision(ModuleName("numpy"), Action.EXTERN, "it is compiled", "numpy")
    assert str(decision) == "numpy: extern (it is compiled)"


def test_decisions_and_files_are_sorted_by_name() -> None:
    decisions = [Decision(ModuleName(name), Action.INTERN, FIRST_PARTY, "x") for name in ("b", "a.b", "a")]
    assert [decision.module for decision in sorted(decisions)] == ["a", "a.b", "b"]
    files = [PackedFile(record_name(name), "", 0, None, None) for name in ("b.py", "a/b.py")]
    assert [file.record for file in sorted(files)] == ["a/b.py", "b.py"]


def test_the_content_of_a_file_is_not_printed() -> None:
    assert "secret" not in repr(PackedFile(record_name("a.py"), "", 0, None, None, b"secret"))
