"""Modules that exist only as text, that do nothing, or that another process has loaded by their file."""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.packing.tracing.finders import LoadedFinder, SilencingFinder, SourceFinder, loaded_elsewhere

Load = Callable[[MetaPathFinder, str], Any]


@pytest.fixture
def load() -> Iterator[Load]:
    before, finders = set(sys.modules), sys.meta_path[:]

    def load(finder: MetaPathFinder, name: str) -> ModuleType:
        sys.meta_path.insert(0, finder)
        return importlib.import_module(name)

    yield load
    sys.meta_path[:] = finders
    for name in sys.modules.keys() - before:
        del sys.modules[name]


def test_a_module_of_text_is_a_package_or_none_and_shows_its_source(load: Load) -> None:
    deep = "def act():\n    return 2\n"
    finder = SourceFinder({"captured_u": ("", True, None), "captured_u.deep": (deep, False, None)})
    loaded = load(finder, "captured_u.deep")
    assert loaded.act() == 2
    assert loaded.__file__ == "captured_u.deep.py"
    assert inspect.getsource(loaded.act) == deep
    assert sys.modules["captured_u"].__path__ == []
    assert finder.find_spec("other", None) is None


def test_a_module_that_was_changed_keeps_its_file(load: Load, tmp_path: Path) -> None:
    file = str(tmp_path / "mill_u" / "__init__.py")
    mill = load(SourceFinder({"mill_u": ("RATE = 3\n", True, file)}), "mill_u")
    assert (mill.RATE, mill.__file__, mill.__path__) == (3, file, [str(tmp_path / "mill_u")])


def test_a_module_of_text_can_have_an_import_of_its_own(load: Load) -> None:
    asked: list[str] = []

    def import_for(name: str, *args: Any) -> ModuleType:
        asked.append(name)
        return builtins.__import__(name, *args)

    made = load(SourceFinder({"captured_i": ("import json\nlen\n", False, None)}, import_for), "captured_i")
    assert asked == ["json"]
    assert made.json.dumps(1) == "1"


def test_a_silent_library_has_whatever_it_is_asked_for(load: Load) -> None:
    finder = SilencingFinder({"loglib_u"})
    sdk = load(finder, "loglib_u.sdk")
    run = sys.modules["loglib_u"].init(project="oak")
    run.log({"loss": 1})
    with sdk.Run() as entered:
        entered.anything.at.all()
    assert finder.find_spec("loglib_users", None) is None


def test_modules_that_a_new_process_would_not_find_are_told_with_their_places(tmp_path: Path) -> None:
    tree = """
    --- usual/oak_u.py
    --- usual/yard_u/__init__.py
    --- usual/yard_u/saw.py
    --- gone/elm_u/__init__.py
    --- gone/elm_u/bark.py
    --- gone/by_file.py
    """
    write_tree(tmp_path, tree)
    gone = tmp_path / "gone"
    before = loaded_elsewhere().keys()
    with importable(tmp_path / "usual") as usual:
        usual("oak_u")
        usual("yard_u.saw")
        with importable(gone) as load:
            load("elm_u.bark")
            kept = {name: sys.modules[name] for name in ("elm_u", "elm_u.bark")}
        spec = importlib.util.spec_from_file_location("yard_u.generated", gone / "by_file.py")
        assert spec is not None
        kept["yard_u.generated"] = importlib.util.module_from_spec(spec)
        sys.modules.update(kept)
        try:
            found = {name: place for name, place in loaded_elsewhere().items() if name not in before}
        finally:
            for name in kept:
                del sys.modules[name]
    # Of what is in the folder of its package the package counts.
    assert found == {
        "elm_u": (str(gone / "elm_u/__init__.py"), [str(gone / "elm_u")]),
        "yard_u.generated": (str(gone / "by_file.py"), None),
    }


def test_what_is_loaded_elsewhere_is_found_by_its_place(load: Load, tmp_path: Path) -> None:
    write_tree(tmp_path, "--- elm_p/__init__.py\n--- elm_p/bark.py\nRINGS = 3\n")
    finder = LoadedFinder({"elm_p": (str(tmp_path / "elm_p/__init__.py"), [str(tmp_path / "elm_p")])})
    assert load(finder, "elm_p.bark").RINGS == 3
    assert finder.find_spec("elm_p.bark", None) is None
