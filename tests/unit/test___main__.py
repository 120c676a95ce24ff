"""`python -m wardian` is the command `wardian`."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_the_module_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wardian", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("wardian", run_name="__main__", alter_sys=True)
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("wardian, version ")


def test_to_import_it_runs_nothing() -> None:
    runpy.run_module("wardian.__main__", run_name="wardian.__main__")
