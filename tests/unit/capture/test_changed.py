"""Modules whose files were edited after they were imported, and those whose loader gives another text."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import linecache
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wardian.capture.changed import ChangedModule, find_changed_modules
from wardian.capture.session import Capture
from wardian.domain.names import ModuleName

_SOURCE = "RATE = 2\nclass Net:\n    size = 3\n    def run(self):\n        return self.size\n"


@pytest.fixture(params=[True, False], ids=["bytecode", "no bytecode"])
def rates(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[types.ModuleType]:
    """A module that was imported."""
    monkeypatch.setattr(sys, "dont_write_bytecode", not request.param)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "rates.py").write_text(_SOURCE)
    yield importlib.import_module("rates")
    del sys.modules["rates"]


def _edit(module: types.ModuleType, old: str, new: str) -> None:
    path = Path(str(module.__file__))
    path.write_text(path.read_text().replace(old, new))
    later = path.stat().st_mtime + 10  # than the second in which it was imported
    os.utime(path, (later, later))
    linecache.checkcache(str(path))


def _found() -> list[ChangedModule]:
    return [module for module in find_changed_modules() if module.name == "rates"]


@pytest.mark.parametrize(
    ("old", "new"), [("RATE = 2", "RATE = 5"), ("size = 3", "size = 4"), ("self.size", "self.size + 1")]
)
def test_an_edit_is_seen_wherever_it_is(rates: types.ModuleType, old: str, new: str) -> None:
    assert _found() == []
    _edit(rates, old, new)
    (found,) = _found()
    assert (found.source, found.by_loader) == (None, False)
    told = Capture().warnings([ModuleName("rates")])
    assert told == Capture().stale([ModuleName("rates")])
    assert "rates.py was changed after rates was imported; the case holds the file as it is now" in told[0]
    assert Capture().warnings([]) == []


def test_an_edit_of_a_comment_changes_nothing(rates: types.ModuleType) -> None:
    _edit(rates, "return self.size\n", "return self.size\n# a note\n")
    assert _found() == []


def test_what_was_imported_is_packed_where_its_text_is_known(rates: types.ModuleType) -> None:
    linecache.getlines(str(rates.__file__))
    path = Path(str(rates.__file__))
    path.write_text(_SOURCE.replace("RATE = 2", "RATE = 5"))
    os.utime(path, (path.stat().st_mtime + 10,) * 2)
    (found,) = _found()
    assert found.source == _SOURCE
    (told,) = Capture().warnings([ModuleName("rates")])
    assert told.endswith("the case holds what was imported")


def test_a_constant_that_a_function_sets_is_no_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "rates.py").write_text("COUNT = 0\ndef up():\n    global COUNT\n    COUNT += 1\n")
    importlib.import_module("rates").up()
    assert _found() == []
    del sys.modules["rates"]


class _Loader(importlib.machinery.SourceFileLoader):
    """Gives another text than the file has, as tools that rewrite sources do."""

    def get_source(self, fullname: str) -> str:
        return self.get_data(self.path).decode().replace("RATE = 2", "RATE = 7")

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.get_source(fullname).encode(), self.path)


def test_a_module_is_what_its_loader_gave(tmp_path: Path) -> None:
    path = tmp_path / "rates.py"
    path.write_text(_SOURCE)
    spec = importlib.util.spec_from_file_location("rates", path, loader=_Loader("rates", str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["rates"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.RATE == 7
    (found,) = _found()
    capture = Capture()
    assert "RATE = 7" in (found.source or "")
    assert "RATE = 7" in capture.modules()[ModuleName("rates")].source
    assert capture.warnings([ModuleName("rates")]) == []
    del sys.modules["rates"]


def test_a_file_that_was_removed_is_told(rates: types.ModuleType) -> None:
    Path(str(rates.__file__)).unlink()
    (told,) = Capture().stale([ModuleName("rates")])
    assert "rates.py was removed after rates was imported; the case holds what an import finds now" in told
