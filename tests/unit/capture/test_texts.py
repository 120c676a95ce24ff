"""The texts of a file or a cell, in the order in which code was likely made from them."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wardian.capture.texts import read_texts


class _Loader:
    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, name: str) -> str:
        return self._source


def _module(file: str, source: str) -> ModuleType:
    module = ModuleType("text_of_a_test")
    vars(module).update(__file__=file, __loader__=_Loader(source))
    return module


def _remember(patch: pytest.MonkeyPatch, file: str, source: str) -> None:
    patch.setitem(linecache.cache, file, (len(source), None, source.splitlines(keepends=True), file))


def test_each_text_is_told_once_what_was_cached_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fern.py"
    path.write_text("disk = 1\n")
    _remember(monkeypatch, str(path), "cached = 1\n")
    monkeypatch.setitem(sys.modules, "text_of_a_test", _module(str(path), "loaded = 1\n"))
    assert [text.source for text in read_texts(str(path))] == ["cached = 1\n", "loaded = 1\n", "disk = 1\n"]
    path.write_text("cached = 1\n")
    assert [text.source for text in read_texts(str(path))] == ["cached = 1\n", "loaded = 1\n"]


def test_modules_are_looked_at_only_for_whoever_wants_more_than_the_first_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _remember(monkeypatch, "<cell 1>", "cached = 1\n")
    texts = read_texts("<cell 1>")
    assert next(texts).source == "cached = 1\n"
    monkeypatch.setitem(sys.modules, "text_of_a_test", _module("<cell 1>", "loaded = 1\n"))
    assert [text.source for text in texts] == ["loaded = 1\n"]
