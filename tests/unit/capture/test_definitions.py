"""Source that defines one global of a script."""

from __future__ import annotations

import collections
import types
from typing import Any

import pytest

from tests.unit.capture.transplant import execute_with_function
from wardian.capture.definitions import STATEMENT, Definer, Definition
from wardian.capture.replaced_values import ReplacedValues
from wardian.capture.script import Script
from wardian.domain.names import ModuleName


def _define(made: dict[str, Any], name: str, **synthesised: ModuleName) -> Definition | None:
    script = Script(made)

    def module_of(module: types.ModuleType) -> ModuleName | None:
        return synthesised.get(module.__name__)

    definer = Definer(script, ModuleName, module_of, ReplacedValues(script, lambda *of: None))
    return definer.define(name, made[name])


def _source(definition: Definition | None) -> str:
    assert definition is not None
    return "".join(piece.source for piece in definition.pieces)


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("import math", "math", "import math\n"),
        ("import collections.abc as kinds", "kinds", "import collections.abc as kinds\n"),
        ("from math import floor as low", "low", "from math import floor as low\n"),
        ("from collections import *", "Counter", "from collections import Counter\n"),
        ("N = 0x10  # rows", "N", "N = 0x10  # rows\n"),
        ("N = 1\nN += 1", "N", "N = 2\n"),
        ("def f(x):\n    return x", "f", "def f(x):\n    return x\n"),
        ("if True:\n    class Net:\n        pass", "Net", "class Net:\n    pass\n"),
    ],
)
def test_source_of_a_definition(source: str, name: str, expected: str) -> None:
    assert _source(_define(execute_with_function(source), name)) == expected


def test_what_no_statement_gives_again_has_no_definition() -> None:
    assert _define(execute_with_function("table = {}"), "table") is None
    made = execute_with_function(
        "table = {}\ndef keep(table):\n    return lambda f: f\n@keep(table)\ndef f():\n    pass\n"
    )
    assert _define(made, "f") is None


def test_imports_come_before_constants_and_those_before_statements() -> None:
    made = execute_with_function("import math\nN = 1\ndef f():\n    pass\n")
    ranks = [found.rank for name in ("math", "N", "f") if (found := _define(made, name)) is not None]
    assert ranks == [0, 1, STATEMENT]


def test_what_no_statement_imported_is_imported_from_its_module() -> None:
    assert (
        _source(_define({"__name__": "x", "C": collections.Counter}, "C"))
        == "from collections import Counter as C\n"
    )


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("import pathlib\nP = type(pathlib.Path())", "P", "from pathlib import Path as P\nP = type(P())\n"),
        (
            "import pathlib\nclass P(type(pathlib.Path())):\n    pass",
            "P",
            "from pathlib import Path as captured_P_base_1\ncaptured_P_base_1 = type(captured_P_base_1())\n"
            "class P(captured_P_base_1):\n    pass\n",
        ),
        ("from pathlib import PosixPath as P", "P", "from pathlib import PosixPath as P\n"),
    ],
)
def test_the_class_of_paths_is_that_of_the_platform_unless_it_is_named(
    source: str, name: str, expected: str
) -> None:
    assert _source(_define(execute_with_function(source), name)) == expected


def test_a_module_that_only_its_maker_knows_is_its_synthesised_one() -> None:
    made = {"__name__": "x", "parts": types.ModuleType("parts")}
    assert (
        _source(_define(made, "parts", parts=ModuleName("captured.parts")))
        == "import captured.parts as parts\n"
    )


def test_all_cases_of_a_function_are_defined_together() -> None:
    made = execute_with_function(
        "import functools\nclass Cases:\n    def __init__(self, f):\n        functools.update_wrapper(self, f)\n"
        "def on(kind):\n    return lambda f: f if isinstance(f, Cases) else Cases(f)\n"
        "@on(int)\ndef f(x):\n    return 1\n@on(str)\ndef f(x):\n    return 2\n"
    )
    definition = _define(made, "f")
    assert [piece.line for piece in definition.pieces] == [7, 10] if definition else False


def test_bases_that_do_nothing_are_told_from_those_that_do() -> None:
    made = execute_with_function(
        "class Base:\n    pass\nclass Net(Base):\n    pass\n"
        "class Told:\n    def __init_subclass__(cls):\n        pass\nclass Late(Told):\n    pass\n"
    )
    found = [_define(made, name) for name in ("Net", "Late")]
    assert [definition.bases for definition in found if definition] == [{"Base"}, frozenset()]
