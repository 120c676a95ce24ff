"""What the environment says of the user's policy."""

from __future__ import annotations

import pytest

from wardian.errors import PolicyFileError
from wardian.trust.modes import TRUST_VARIABLE, mode_here


@pytest.mark.parametrize("mode", ["require", "warn", "off"])
def test_it_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, mode)
    assert mode_here() == mode


def test_a_variable_without_a_text_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)
    assert mode_here() == "off"
    monkeypatch.setenv(TRUST_VARIABLE, "")
    assert mode_here() == "off"


@pytest.mark.parametrize("text", ["Require", "required", " off", "0", "x" * 500])
def test_a_slip_of_the_pen_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, text)
    with pytest.raises(PolicyFileError, match="must be require, warn or off, and is '") as caught:
        mode_here()
    assert caught.value.path == TRUST_VARIABLE
    assert len(str(caught.value)) < 200
