"""The source of a factory makes the function that was live."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.capture.transplant import execute
from wardian.capture.factories import FACTORY, factory_source
from wardian.capture.runtime import factory
from wardian.capture.texts import find_function, span_of


def _source(function: Callable[..., object]) -> str:
    found = find_function(function.__code__)
    assert found is not None
    text, node = found
    return factory_source("captured_make_1", function.__code__, text, node, "globals()", [])


def _remade(function: types.FunctionType) -> Any:
    made: dict[str, Any] = {FACTORY: factory, **function.__globals__}
    exec(_source(function), made)
    return made["captured_make_1"](*function.__closure__ or ())


def test_free_variables_are_the_parameters() -> None:
    made = execute("def make(n):\n    def act(x):\n        return n * x\n    return act\nact = make(2)\n")
    assert _source(made["act"]) == (
        "@captured_factory(globals())\n"
        "def captured_make_1(n):\n"
        "    def act(x):\n"
        "        return n * x\n"
        "    return act\n"
    )
    assert _remade(made["act"])(3) == 6


def test_defaults_are_left_out_and_annotations_are_text() -> None:
    source = _source(
        execute(
            "def act(a: Bed, b=make(), *c: 'Tool', k: int = 2) -> list[Bed]: return b\n", make=int, Bed=int
        )["act"]
    )
    assert "def act(a: 'Bed', b=None, *c: 'Tool', k: 'int'=None) -> 'list[Bed]':\n" in source
    assert "make()" not in source


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("act = (lambda n: lambda x: n + x)(1)", 6),
        ("if True: act = lambda x: (\n  x +\n  2)", 7),
        ("def act(x):\n    '''Two\n  lines.'''\n    return len(act.__doc__ or '')", 12),
        ("if True:\n    def act(x):  # one\n        return x  # two", 5),
        ("x = 1; act = lambda x: x; y = 2", 5),
        # A name that only the function itself would bind is a global.
        ("def act(x):\n    return 0 if not x else 1 + act(x - 1)", 5),
    ],
)
def test_what_a_factory_makes_does_the_same(body: str, answer: int) -> None:
    act = execute(f"{body}\n")["act"]
    assert act(5) == answer
    assert _remade(act)(5) == answer


def test_private_names_stand_in_a_class_of_their_name() -> None:
    made = execute("class Net:\n    def act(self, x):\n        self.__x = x\n        return self\n")
    remade = _remade(made["Net"].act)
    net = made["Net"]()
    assert vars(remade(net, 4)) == {"_Net__x": 4}


@pytest.mark.parametrize(
    "body",
    [
        "    def act(x):  # one\n        return x  # two",
        # It is its own free variable.
        "    def act(x):\n        return x and act(x - 1)",
        "    def act(x):\n        return x.__len__()",
    ],
)
def test_what_needs_no_class_stands_as_it_was_written(body: str) -> None:
    act = execute(f"def make():\n{body}\n    return act\nact = make()\n")["act"]
    parameters = ", ".join(act.__code__.co_freevars)
    head = f"@captured_factory(globals())\ndef captured_make_1({parameters}):\n"
    assert _source(act) == f"{head}{body}\n    return act\n"


def test_imports_are_edited_with_the_signature() -> None:
    made = execute("def act(x=1):\n    from . import nets\n    return nets\n")
    found = find_function(made["act"].__code__)
    assert found is not None
    text, node = found
    edits = [(span_of(node.body[0]), "from shop import nets")]  # type: ignore[index]
    source = factory_source("f", made["act"].__code__, text, node, "namespace", edits)
    assert source.startswith(
        "@captured_factory(namespace)\ndef f():\n    def act(x=None):\n        from shop"
    )
