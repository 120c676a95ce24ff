"""The bar for what comes from elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from wardian.reading.arriving import Arriving

MIB = 1 << 20


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar_for_what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())
    monkeypatch.setenv("TERM", "xterm")
    small = Arriving("small.case")
    small(1, MIB)
    small(0, 0)
    assert not terminal.getvalue()
    large = Arriving("large.case")
    for done in (MIB, 50 * MIB, 100 * MIB):
        large(done, 100 * MIB)
    large(0, 0)
    assert "large.case" in terminal.getvalue()
    large(0, 0)


def test_nobody_else_has(capsys: pytest.CaptureFixture[str]) -> None:
    arriving = Arriving("large.case")
    arriving(MIB, 100 * MIB)
    arriving(0, 0)
    assert capsys.readouterr() == ("", "")
