"""Which synthesised module code becomes part of, and its name there."""

from __future__ import annotations

import collections
import sys
import types

import pytest

from tests.unit.capture.transplant import execute, execute_with_function
from wardian.capture.effects import Effects
from wardian.capture.naming import Global, Names
from wardian.capture.placing import Places, is_of_script
from wardian.capture.trials import Trials
from wardian.domain.names import ModuleName


@pytest.fixture
def places() -> Places:
    names = Names()
    return Places(names, Effects(names, Trials()))


def test_globals_of_a_module_have_no_namespace_and_those_of_a_script_have_one(places: Places) -> None:
    made = execute("def f():\n    pass\n")
    assert places.namespace_of(vars(collections)) is None
    assert places.namespace_of(made) is places.namespace_of(made)
    assert places.is_synthesised(made)
    assert not places.is_synthesised({})


def test_two_scripts_of_one_name_become_two_modules(places: Places) -> None:
    scripts = [places.namespace_of(execute("def f():\n    pass\n")) for _ in range(2)]
    assert [script and script.number for script in scripts] == [0, 1]
    assert [script and script.module for script in scripts] == ["captured.notebook", "captured.notebook_2"]


def test_no_module_hides_a_name_of_the_runtime(places: Places) -> None:
    assert places.home_of(ModuleName("abc")).module == "captured.abc_2"
    assert places.home_of(ModuleName("abc")) is places.home_of(ModuleName("abc"))


def test_a_class_belongs_where_it_was_made(places: Places) -> None:
    made = execute("class Net:\n    def run(self):\n        pass\n")
    found = places.namespace_of_class(made["Net"])
    assert found is not None
    assert found.variables is made
    assert places.namespace_of_class(collections.Counter) is None


def test_what_is_named_is_taken(places: Places) -> None:
    made = execute_with_function("class Net:\n    class Head:\n        def run(self):\n            pass\n")
    namespace = places.namespace_of(made)
    assert namespace is not None
    assert places.name_in(namespace, made["Net"].Head) == Global("captured.notebook", "Net.Head")
    assert list(namespace.definitions) == ["Net"]
    assert places.find_live("captured.notebook", "Net.Head") is made["Net"].Head
    assert places.find_live("captured.notebook", "Net.Head.run") is made["Net"].Head.run
    assert places.name_in(namespace, lambda: None) is None
    with pytest.raises(AttributeError, match=r"captured\.other\.x"):
        places.find_live("captured.other", "x")


def test_globals_are_named_in_scripts_and_in_modules(places: Places) -> None:
    made = execute("def f():\n    pass\n")
    assert places.global_in(made, made["f"]) == Global("captured.notebook", "f")
    assert places.global_in(vars(collections), collections.Counter) == Global("collections", "Counter")
    assert places.global_in(vars(collections), made["f"]) is NotImplemented


def test_a_module_that_only_its_maker_knows_is_taken_whole(places: Places) -> None:
    module = types.ModuleType("parts")
    module.size = 3  # type: ignore[attr-defined]
    assert places.module_of(module) == "captured.parts"
    assert places.module_of(collections) is None
    (made,) = places.modules()
    assert made.name == "captured.parts"
    assert "size = 3" in made.source


def test_makers_are_written_once(places: Places) -> None:
    home = places.home_of(ModuleName("shop.nets"))
    assert places.maker_in(home, "code_of") == Global("captured.shop_nets", "captured_code_of")
    places.maker_in(home, "code_of")
    assert list(home.factories) == ["captured_code_of"]


def test_the_script_that_runs_comes_first(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    main, loaded = types.ModuleType("__main__"), types.ModuleType("wardian.live.net_01234567.captured.main")
    for name in [name for name in sys.modules if is_of_script(name)]:  # of cases that other tests have loaded
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setitem(sys.modules, loaded.__name__, loaded)
    found = [script.variables for script in places.scripts()]
    assert found == [vars(main), vars(loaded)]
    assert is_of_script(loaded.__name__)
    assert not is_of_script("wardian.live.net_01234567.shop.nets")
