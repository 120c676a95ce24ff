"""What the object needs that nothing in it refers to."""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.capture.effects import Effects
from wardian.capture.naming import Global, Names
from wardian.capture.placing import Places
from wardian.capture.side_effects import SideEffects
from wardian.capture.trials import Trials

_LIBRARY = """
--- nursery.py
KINDS = {}
RATE = 1
class Rose:
    def grow(self):
        return 1
def register(cls):
    KINDS[cls.__name__] = cls
def train(cls):
    pass
"""

_numbers = itertools.count()


class _Script:
    """A script that runs, and what is found about it."""

    def __init__(self, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
        main = ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", main)
        file = f"<ipython-input-{next(_numbers)}-side-effects>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec", dont_inherit=True), vars(main))
        self.made = vars(main)
        names = Names()
        self._effects = Effects(names, Trials())
        self.places = Places(names, self._effects)
        self.side_effects = SideEffects(names, self.places, self._effects)

    def set_at_load(self) -> list[Any]:
        """Return the arguments of the calls by which something is set."""
        written = self._effects.written_around(self)
        return (
            [] if written is self else [part.arguments for part in written.arguments[0] if part is not self]
        )


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[ModuleType]:
    with importable(write_tree(tmp_path, _LIBRARY)) as load:
        yield load("nursery")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], _Script]]:
    before = dict(linecache.cache)
    yield lambda source: _Script(source, monkeypatch)
    linecache.cache.clear()
    linecache.cache.update(before)


def test_what_a_script_sets_in_a_module_is_found_once(
    nursery: ModuleType, run: Callable[[str], _Script]
) -> None:
    script = run("import nursery\nnursery.RATE = 5\n")
    assert script.side_effects.find_settings([nursery])
    assert not script.side_effects.find_settings([nursery])
    assert script.set_at_load() == [(nursery, {"RATE": 5})]


def test_what_a_script_put_into_a_container_of_a_module_is_found(
    nursery: ModuleType, run: Callable[[str], _Script]
) -> None:
    script = run("import nursery\nclass Tulip:\n    pass\nnursery.KINDS['tulip'] = Tulip\n")
    assert script.side_effects.find_settings([nursery])
    assert script.set_at_load() == [(Global("nursery", "KINDS"), "tulip", script.made["Tulip"])]


def test_methods_that_a_script_gave_to_a_class_are_found(
    nursery: ModuleType, run: Callable[[str], _Script]
) -> None:
    script = run("import nursery\ndef grow(self):\n    return 2\nnursery.Rose.grow = grow\n")
    script.side_effects.note_patches(nursery.Rose)
    assert script.set_at_load() == [(nursery.Rose, {"grow": script.made["grow"]})]


def test_what_was_changed_by_an_earlier_script_is_given(
    nursery: ModuleType, run: Callable[[str], _Script]
) -> None:
    script = run("import nursery\n")
    assert not script.side_effects.find_settings([nursery])
    assert script.side_effects.find_settings([nursery], [(nursery, "RATE")])


@pytest.mark.parametrize(
    ("function", "surely", "expected"),
    [("register", False, ["Tulip"]), ("train", False, []), ("train", True, ["Tulip"])],
)
def test_only_statements_that_surely_register_are_taken(
    nursery: ModuleType, run: Callable[[str], _Script], function: str, surely: bool, expected: list[str]
) -> None:
    script = run(f"from nursery import register, train\nclass Tulip:\n    pass\n{function}(Tulip)\n")
    found = script.side_effects.find_registrations([script.made["Tulip"]], surely=surely)
    assert found == [Global("captured.main", name) for name in expected]


def test_functions_that_the_object_names_by_text_are_taken(run: Callable[[str], _Script]) -> None:
    script = run(
        "def act():\n    pass\ndef other():\n    pass\ndef find(name):\n    return globals()[name]\n"
    )
    namespace = script.places.script()
    assert namespace is not None
    namespace.require("find")
    assert script.side_effects.find_named_by_text(b"..act..")
    assert not script.side_effects.find_named_by_text(b"..act..")
    assert sorted(namespace.definitions) == ["act", "find"]


def test_entries_of_tables_are_those_of_the_classes(
    nursery: ModuleType, run: Callable[[str], _Script]
) -> None:
    script = run("")
    assert not script.side_effects.find_table_entries([nursery.Rose])
    nursery.KINDS[nursery.Rose] = 3
    assert script.side_effects.find_table_entries([nursery.Rose])
    assert script.set_at_load() == [(Global("nursery", "KINDS"), nursery.Rose, 3)]
