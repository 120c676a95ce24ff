"""A module of the environment that may be a second copy registers again what a packed one has registered."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest
import torch

from wardian.loading.registering import installed_modules
from wardian.loading.registering.installed_modules import (
    SecondCopyLoader,
    may_be_second_copy,
    note_registering,
)


def test_only_modules_of_noted_names_may_be_second_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_modules, "_registering", set())
    assert not may_be_second_copy("orchardops.nn")
    note_registering("orchardops")
    assert may_be_second_copy("orchardops")
    assert may_be_second_copy("orchardops.nn")
    assert not may_be_second_copy("orchardopsx")


REGISTER = """
import torch
LIBRARY = torch.library.Library("orchardtwice", "DEF")
LIBRARY.define("graft(Tensor x) -> Tensor")
"""


def test_a_second_copy_registers_again_and_is_left_with_its_own_loader(tmp_path: Path) -> None:
    path = tmp_path / "orchardtwice.py"
    path.write_text(REGISTER)
    first = torch.library.Library("orchardtwice", "DEF")  # type: ignore[no-untyped-call]
    first.define("graft(Tensor x) -> Tensor")  # type: ignore[no-untyped-call]
    try:
        spec = importlib.util.spec_from_file_location("orchardtwice", path)
        assert spec is not None
        original = spec.loader
        assert isinstance(original, importlib.machinery.SourceFileLoader)
        with pytest.raises(RuntimeError):
            original.exec_module(importlib.util.module_from_spec(spec))
        spec.loader = SecondCopyLoader(original)
        assert spec.loader.get_filename("orchardtwice") == str(path)  # as the loader of the module says
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.LIBRARY.ns == "orchardtwice"
        found: object = spec.loader
        assert module.__loader__ is found is original
    finally:
        first._destroy()  # type: ignore[no-untyped-call]
