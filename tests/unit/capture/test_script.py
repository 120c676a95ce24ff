"""Which statement made a global, and what names mean in a script."""

from __future__ import annotations

import ast
import types
from typing import Any

import pytest

from tests.unit.capture.transplant import execute_with_function
from wardian.capture.script import Script
from wardian.capture.statements import Binding


def _line(binding: Binding | None) -> int | None:
    return None if binding is None else binding.node.lineno


def test_the_statement_of_a_function_is_that_which_made_the_live_one() -> None:
    script = Script(execute_with_function("def f():\n    return 1\nold = f\ndef f():\n    return 2\n"))
    assert _line(script.binding_of("f", script.variables["f"])) == 4
    assert _line(script.binding_of("f", script.variables["old"])) == 1


def test_the_statement_of_a_lambda_needs_a_name_and_no_closure() -> None:
    script = Script(execute_with_function("double = lambda x: 2 * x\npair = [lambda x: x]\n"))
    assert _line(script.binding_of("double", script.variables["double"])) == 1
    assert script.binding_of("pair", script.variables["pair"][0]) is None


def test_a_class_that_derives_from_one_of_its_own_name_has_no_statement() -> None:
    script = Script(
        execute_with_function("class Net:\n    size = 1\nclass Net(Net):\n    def run(self):\n        pass\n")
    )
    assert script.binding_of("Net", script.variables["Net"]) is None


def test_earlier_cases_have_the_same_name_and_decorator() -> None:
    script = Script(
        execute_with_function(
            "def on(kind):\n    return lambda f: f\n@on(int)\ndef f(x): ...\n@on(str)\ndef f(x): ...\n"
        )
    )
    last = script.statements.bindings("f")[-1]
    assert [case.node.lineno for case in script.earlier_cases("f", last)] == [4]


def test_only_an_assignment_with_a_value_is_one() -> None:
    script = Script(execute_with_function("a = 1\na = 2\nb: int = 3\nimport math as c\n"))
    assert [_line(script.assignment(name)) for name in "abcd"] == [2, 3, None, None]


@pytest.mark.parametrize(
    ("level", "module", "name"), [(0, "math", "math"), (1, "nets", "shop.models.nets"), (2, None, "shop")]
)
def test_names_of_relative_imports(level: int, module: str | None, name: str) -> None:
    assert Script({"__package__": "shop.models"}).absolute(module, level) == name


def test_relative_imports_are_made_absolute_as_they_are_written() -> None:
    script = Script(execute_with_function("def f():\n    pass\n", __package__="shop.models"))
    (text,) = script.statements.texts.values() or [script.statements.bindings("f")[0].text]
    node = ast.parse("from . import nets\nfrom ..parts import (a,\n    b)")
    made = type(text)("other", ast.unparse(node) + "\n")
    edits = script.absolute_imports(made, made.tree)
    assert made.edited((1, 0, 2, 28), edits).splitlines() == [
        "from shop.models import nets",
        "from shop.parts import a, b",
    ]


def test_an_expression_needs_values_if_a_global_of_it_is_no_code() -> None:
    script = Script(
        execute_with_function(
            "import math\nTABLE = {}\nRATE = 2\ndef f(*x):\n    pass\nx = TABLE\ny = f(math, RATE)\n"
        )
    )

    def needs(name: str) -> bool:
        (binding,) = script.statements.bindings(name)
        return script.needs_values(binding.text, binding.node.value)  # type: ignore[attr-defined]

    script.variables |= {"x": None, "y": None}
    assert needs("x")
    assert not needs("y")


def test_a_script_owns_what_it_defined_and_what_wraps_that() -> None:
    source = "def f():\n    return 1\ndef wrap(f):\n    def run():\n        return f()\n    return run\nclass Net:\n    pass\ng = wrap(f)\n"
    made = execute_with_function(source)
    other = execute_with_function("def wrap(f):\n    return lambda: f()\n", __name__="other")
    script = Script(made)
    assert all(script.owns(made[name]) for name in ("f", "g", "Net"))
    assert script.owns(other["wrap"](made["f"]))
    assert not script.owns(other["wrap"])
    assert not script.owns(types.ModuleType)


def test_paths_lead_to_what_is_there() -> None:
    made: dict[str, Any] = execute_with_function(
        "class Net:\n    class Head:\n        def run(self):\n            pass\n"
    )
    script = Script(made)
    run = made["Net"].Head.run
    assert script.path_of(run) == "Net.Head.run"
    assert script.shows("Net.Head.run", run)
    made["Net"].late = execute_with_function("def late(self):\n    pass\n")["late"]
    assert not script.shows("Net.late", made["Net"].late)
    assert script.path_of(lambda: None) is None


def test_the_users_name_stays_when_what_was_loaded_is_packed_again() -> None:
    first = Script({"__name__": "notebook"})
    loaded = {"__name__": "wardian.live.net_01234567.captured.notebook", "__doc__": first.title}
    assert Script(loaded).users_name == first.users_name == "notebook"
    assert Script({"__name__": "shop", "__doc__": first.title}).users_name == "shop"
