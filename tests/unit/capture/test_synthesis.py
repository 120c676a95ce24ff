"""The text of synthesised modules, and which line of the user each of its lines is."""

from __future__ import annotations

import pytest

from tests.unit.capture.transplant import execute_with_function
from wardian.capture.definitions import Piece
from wardian.capture.effects import Effects
from wardian.capture.namespaces import Namespace
from wardian.capture.naming import Names
from wardian.capture.synthesis import CapturedModule, Home, module_of_home, module_of_namespace
from wardian.capture.trials import Trials
from wardian.domain.names import ModuleName

_SOURCE = """from __future__ import annotations
import math
RATE = 2
def area(r: int) -> float:
    return math.pi * r * RATE
VALUES = [object()]
"""


@pytest.fixture
def namespace() -> Namespace:
    made = execute_with_function(_SOURCE)
    return Namespace(made, lambda: ModuleName("captured.notebook"), Effects(Names(), Trials()))


def _lines(module: CapturedModule | None) -> dict[str, int]:
    assert module is not None
    lines = module.source.splitlines()
    assert len(module.origins) == len(lines)
    return {line: number for line, (file, number) in zip(lines, module.origins, strict=True) if file}


def test_nothing_that_is_taken_makes_no_module(namespace: Namespace) -> None:
    assert module_of_namespace(namespace, "captured") is None
    namespace.is_held = True
    module = module_of_namespace(namespace, "captured")
    assert module is not None
    assert module.source == '"""What a packed object uses of notebook."""\n'


def test_statements_of_a_script_keep_their_lines_and_features(namespace: Namespace) -> None:
    namespace.require("area")
    module = module_of_namespace(namespace, "captured")
    assert module is not None
    assert module.name == "captured.notebook"
    assert module.source == (
        '"""What a packed object uses of notebook."""\n'
        "\n"
        "from __future__ import annotations\n"
        "import math\n"
        "RATE = 2\n"
        "\n\n"
        "def area(r: int) -> float:\n"
        "    return math.pi * r * RATE\n"
    )
    assert _lines(module) == {
        "import math": 2,
        "RATE = 2": 3,
        "def area(r: int) -> float:": 4,
        "    return math.pi * r * RATE": 5,
    }


def test_values_and_factories_bring_what_they_need(namespace: Namespace) -> None:
    namespace.require("VALUES")
    namespace.factories["f"] = Piece("@captured_factory(globals())\ndef f():\n    pass\n", "a.py", 6)
    module = module_of_namespace(namespace, "captured_2")
    assert module is not None
    assert "from captured_2 import factory as captured_factory\n" in module.source
    made: dict[str, object] = {}
    exec(module.source.partition("\n\n\n")[2].partition("\n\n\n")[2], made)
    made["captured_set"]("VALUES", 3)  # type: ignore[operator]
    assert made["VALUES"] == 3


def test_local_functions_of_a_module_stand_by_name_over_its_globals() -> None:
    home = Home(ModuleName("shop.nets"), ModuleName("captured.shop_nets"))
    home.factories["b"] = Piece("def b():\n    pass\n", "/shop/nets.py", 7)
    home.factories["a"] = Piece("def a():\n    pass\n", "/shop/nets.py", 3)
    module = module_of_home(home, "captured")
    assert module.source == (
        '"""Functions that were made inside functions of shop.nets."""\n'
        "\n"
        "from __future__ import annotations\n"
        "from shop.nets import __dict__ as namespace\n"
        "from captured import factory as captured_factory\n"
        "\n\n"
        "def a():\n"
        "    pass\n"
        "\n\n"
        "def b():\n"
        "    pass\n"
    )
    assert [origin for origin in module.origins if origin[0]] == [("/shop/nets.py", n) for n in (3, 4, 7, 8)]
