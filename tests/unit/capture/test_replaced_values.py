"""Values inside functions and classes that their statements do not give."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.capture.transplant import execute_with_function
from wardian.capture.definitions import Definer
from wardian.capture.replaced_values import ReplacedValues
from wardian.capture.script import Script
from wardian.domain.names import ModuleName


def _replaced(source: str, name: str, then: str = "") -> tuple[str, list[str]]:
    """Return the source of a definition, and the paths of what is set when it is loaded."""
    made = execute_with_function(source)
    exec(then, made)
    script = Script(made)
    paths: list[str] = []
    replaced = ReplacedValues(script, lambda path, *of: paths.append(".".join(path)))
    definition = Definer(script, ModuleName, lambda module: None, replaced).define(name, made[name])
    assert definition is not None
    return definition.pieces[-1].source, paths


@pytest.mark.parametrize(
    ("source", "expected", "paths"),
    [
        ("def f(a=1, b=()):\n    pass\n", "def f(a=1, b=()):\n    pass\n", []),
        ("def f(a=T, b=2):\n    pass\n", "def f(a=None, b=2):\n    pass\n", ["f.__defaults__"]),
        ("def f(*, a=T):\n    pass\n", "def f(*, a=None):\n    pass\n", ["f.__kwdefaults__"]),
    ],
)
def test_default_arguments_that_are_made_of_values(source: str, expected: str, paths: list[str]) -> None:
    assert _replaced(f"T = [1]\n{source}", "f") == (expected, paths)


def test_a_default_argument_that_was_filled_is_set_and_stays_in_the_source() -> None:
    source = "def f(memo={}):\n    memo[1] = 2\n"
    assert _replaced(source, "f", "f()") == (source, ["f.__defaults__"])


@pytest.mark.parametrize(
    ("member", "then", "expected", "paths"),
    [
        ("size = 3", "", "size = 3", []),
        ("size = 3", "Net.size = 4", "size = 3", ["Net.size"]),
        ("table = T", "", "table = None", ["Net.table"]),
        ("size = 3", "Net.late = 4", "size = 3", ["Net.late"]),
        ("size = 3", "Net.run = lambda self: 1", "size = 3", ["Net.run"]),
        ("size = property(len)", "", "size = property(len)", []),
    ],
)
def test_members_of_classes(member: str, then: str, expected: str, paths: list[str]) -> None:
    source, found = _replaced(f"T = {{}}\nclass Net:\n    {member}\n", "Net", then)
    assert (source, found) == (f"class Net:\n    {expected}\n", paths)


def test_attributes_that_a_function_got() -> None:
    source = "def f():\n    pass\nf.calls = 0\nf.log = []\n"
    assert _replaced(source, "f")[1] == ["f.calls", "f.log"]


def test_a_variable_of_a_decorator_that_something_else_holds() -> None:
    source = (
        "import functools\ndef remember(f):\n    seen, own = {}, {}\n    @functools.wraps(f)\n    def run(x):\n        own[x] = seen[x] = f(x)\n"
        "        return own[x]\n    run.seen = seen\n    return run\n@remember\ndef f(x):\n    return x\n"
    )
    assert _replaced(source, "f")[1] == ["f.seen", "f.cell seen"]


def test_what_is_set_is_the_live_value() -> None:
    made: dict[str, Any] = execute_with_function("T = [1]\nclass Net:\n    table = T\n")
    script = Script(made)
    found: list[tuple[Any, ...]] = []
    replaced = ReplacedValues(script, lambda *of: found.append(of))
    Definer(script, ModuleName, lambda module: None, replaced).define("Net", made["Net"])
    ((path, owner, name, value),) = found
    assert (path, owner, name) == (("Net", "table"), made["Net"], "table")
    assert value is made["T"]
