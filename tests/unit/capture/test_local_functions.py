"""How local functions and lambdas are made again."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.unit.capture.transplant import execute
from wardian.capture.effects import Effects
from wardian.capture.local_functions import LocalFunctions
from wardian.capture.naming import Global, Names
from wardian.capture.placing import Places
from wardian.capture.trials import Trials


class _Parts:
    def __init__(self) -> None:
        names, self.trials = Names(), Trials()
        self.places = Places(names, Effects(names, self.trials))
        self.functions = LocalFunctions(names, self.places, self.trials)

    def reduce(self, function: Any) -> tuple[Any, ...]:
        return self.functions.reduce(function, self.places.namespace_of(function.__globals__))


@pytest.fixture
def parts() -> _Parts:
    return _Parts()


def test_a_function_comes_from_a_factory_that_is_given_its_cells(parts: _Parts) -> None:
    made = execute(
        "RATE = 2\ndef make(n):\n    def act(x):\n        return n * x * RATE\n    return act\nact = make(3)\n"
    )
    factory, cells, state, _, _, setter = parts.reduce(made["act"])
    assert factory == Global("captured.notebook", "captured_make_make_act_1")
    assert cells == made["act"].__closure__
    assert state == {"__qualname__": "make.<locals>.act"}
    assert setter == Global("captured", "restore")
    (module,) = parts.places.modules()
    assert "RATE = 2" in module.source


def test_functions_of_one_name_and_source_share_a_factory(parts: _Parts) -> None:
    made = execute(
        "def make():\n    return [lambda x: x + 1, lambda x: x + 2]\none, two = make()\nthree, _ = make()\n"
    )
    names = [parts.reduce(made[name])[0].qualname[-1] for name in ("one", "two", "three")]
    assert names == ["1", "2", "1"]


def test_a_function_of_a_module_gets_the_globals_of_that(parts: _Parts) -> None:
    manager = contextlib.contextmanager(execute("def f():\n    yield 1\n")["f"])
    assert parts.reduce(manager)[0].module == "captured.contextlib_2"  # the runtime has imported one
    (module,) = [m for m in parts.places.modules() if m.name == "captured.contextlib_2"]
    assert "from contextlib import __dict__ as namespace" in module.source


def test_a_function_without_source_is_its_bytecode(parts: _Parts) -> None:
    variables: dict[str, Any] = {"__name__": "notebook"}
    exec("K = [2]\ndef f(x):\n    return x * K\n", variables)
    make, (code, *cells), *_ = parts.reduce(variables["f"])
    assert make.qualname == "captured_code_of"
    assert isinstance(code, bytes)
    assert cells == []
    assert parts.functions.bytecode == {"notebook.f"}


def test_annotations_that_cannot_be_pickled_are_left_out(parts: _Parts) -> None:
    made = execute(
        "def make():\n    def act(x: int) -> str:\n        '''Act.'''\n    return act\nact = make()\n"
    )
    made["act"].kind = 3
    with parts.trials.trying(lambda value: "no"):
        state = parts.reduce(made["act"])[2]
    assert state == {"__qualname__": "make.<locals>.act", "__dict__": {"kind": 3}}
    assert set(parts.reduce(made["act"])[2]) == {"__qualname__", "__dict__", "__annotations__"}
