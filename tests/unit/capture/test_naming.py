"""Names of globals in a case."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.capture.naming import Call, Global, Names


def test_a_global_is_one_object_however_often_it_is_named() -> None:
    names = Names()
    assert names.named("shop", "Net") is names.named("shop", "Net")
    assert names.named("shop", "Net") == Global("shop", "Net")
    assert names.named("shop", "Net")() is None


def test_the_runtime_comes_along_once_it_is_used() -> None:
    names = Names()
    assert not names.uses_runtime
    assert names.helper("restore") == Global("captured", "restore")
    assert names.uses_runtime


def test_the_package_has_a_name_that_no_module_of_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "captured.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Names().package == "captured_2"


def test_calls_are_told_apart() -> None:
    assert Call(str, (1,)) != Call(str, (1,))
