"""What scripts have changed in modules, and put into their containers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from tests.unit.capture.transplant import execute
from wardian.capture.patches import find_changes, find_held, find_patches
from wardian.capture.script import Script

_LIBRARY = """
--- nursery.py
import functools
KINDS = {}
HELD = []
RATE = 1
def wrapped(f):
    return functools.wraps(f)(lambda *args: f(*args))
class Plant:
    table = {}
    def grow(self):
        return 1
class Rose(Plant):
    def bloom(self):
        return 2
class Registry:
    def __init__(self):
        self.known = {}
REGISTRY = Registry()
"""

_SCRIPT = """
import functools
def act(self=None):
    return 3
@functools.wraps(act)
def wrapped(self=None):
    return act()
def keep(f):
    return f
@keep
def kept():
    pass
class Net:
    def run(self):
        pass
class Method:
    @classmethod
    def made(cls):
        return cls()
"""


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Any]:
    with importable(write_tree(tmp_path, _LIBRARY)) as load:
        yield load("nursery")


@pytest.fixture
def script() -> Script:
    return Script(execute(_SCRIPT))


def _patches(cls: type, script: Script, *others: dict[str, Any]) -> list[tuple[str, str]]:
    found = find_patches(cls, lambda scope: scope is script.variables or scope in others)
    return [(owner, change.name) for owner, change in found]


def test_methods_that_a_script_gave_to_a_class_and_those_above_it(nursery: Any, script: Script) -> None:
    made = script.variables
    nursery.Rose.prune = made["act"]
    nursery.Rose.made = vars(made["Method"])["made"]
    nursery.Plant.grow = made["act"]
    assert _patches(nursery.Rose, script) == [
        ("nursery.Rose", "prune"),
        ("nursery.Rose", "made"),
        ("nursery.Plant", "grow"),
    ]
    assert _patches(nursery.Plant, script) == [("nursery.Plant", "grow")]


def test_what_is_wrapped_or_of_another_module_is_no_patch(nursery: Any, script: Script) -> None:
    nursery.Rose.bloom = script.variables["wrapped"]
    nursery.Rose.other = execute("def act():\n    pass\n")["act"]
    generated: dict[str, Any] = {}
    exec(compile("def made(self): pass", "<string>", "exec"), generated)
    nursery.Rose.made = generated["made"]
    nursery.Rose.size = 3
    assert _patches(nursery.Rose, script, generated) == []
    assert _patches(script.variables["Net"], script) == []  # no import leads to the class


def _changes(nursery: Any, script: Script, *settings: tuple[Any, str]) -> list[tuple[str, str]]:
    found = find_changes([nursery], settings, [script], lambda scope: scope is script.variables)
    return [(owner, change.name) for owner, change in found]


def test_what_statements_have_set_is_changed_if_it_is_there(nursery: Any, script: Script) -> None:
    nursery.Rose.wrapped = script.variables["wrapped"]
    settings = [(nursery, "RATE"), (nursery, "gone"), (nursery.Rose, "bloom"), (nursery.Rose, "grow")]
    settings += [(nursery.Rose, "wrapped"), (nursery.Rose, "__module__"), (sys, "path")]
    assert _changes(nursery, script, *settings) == [("nursery", "RATE"), ("nursery.Rose", "bloom")]


def test_what_the_script_made_is_changed_wherever_a_module_has_it(nursery: Any, script: Script) -> None:
    nursery.act, nursery.Net = script.variables["act"], script.variables["Net"]
    nursery.Plant.grow = script.variables["act"]
    # A patch of a class above several is found once.
    assert _changes(nursery, script) == [
        ("nursery.Plant", "grow"),
        ("nursery", "act"),
        ("nursery", "Net"),
    ]


def _held(nursery: Any, script: Script) -> list[tuple[tuple[str, str], tuple[Any, Any, Any]]]:
    return list(find_held(nursery, script))


def test_containers_hold_what_the_script_made(nursery: Any, script: Script) -> None:
    net, act = script.variables["Net"], script.variables["act"]
    nursery.KINDS |= {"net": net, "rose": nursery.Rose, "kept": script.variables["kept"]}
    nursery.HELD += [1, (2, act)]
    nursery.Plant.table["act"] = act
    nursery.REGISTRY.known["net"] = net
    assert _held(nursery, script) == [
        (("nursery.KINDS", "'net'"), (("nursery", "KINDS"), "net", net)),
        (("nursery.HELD", "1"), (("nursery", "HELD"), None, (2, act))),
        (("nursery.Plant.table", "'act'"), (("nursery", "Plant.table"), "act", act)),
        (("nursery.REGISTRY.known", "'net'"), (("nursery", "REGISTRY.known"), "net", net)),
    ]


def test_globals_that_a_module_keeps_hold_nothing(nursery: Any, script: Script) -> None:
    nursery.SHELL = script.variables
    assert _held(nursery, script) == []


def test_a_set_is_told_in_an_order_that_is_the_same_everywhere(nursery: Any) -> None:
    made = execute("".join(f"def f{n}():\n    pass\n" for n in range(9)))
    nursery.HELD = {value for name, value in made.items() if name[0] == "f"}
    assert [place for place, _ in _held(nursery, Script(made))] == [
        ("nursery.HELD", str(n)) for n in range(9)
    ]
    assert [held[2].__name__ for _, held in _held(nursery, Script(made))] == [f"f{n}" for n in range(9)]
