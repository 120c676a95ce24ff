"""The part of a script that is packed."""

from __future__ import annotations

from typing import Any

from tests.unit.capture.transplant import execute_with_function
from wardian.capture.effects import Effects
from wardian.capture.namespaces import Namespace
from wardian.capture.naming import Names
from wardian.capture.trials import Trials
from wardian.domain.names import ModuleName


def _effects() -> Effects:
    return Effects(Names(), Trials())


def _namespace(source: str, **variables: Any) -> Namespace:
    return Namespace(
        execute_with_function(source, **variables), lambda: ModuleName("captured.notebook"), _effects()
    )


def test_a_name_brings_what_its_source_uses_and_nothing_else() -> None:
    namespace = _namespace("A = 1\nB = 2\ndef g():\n    return A\ndef f():\n    return g()\n")
    namespace.require("f")
    assert sorted(namespace.definitions) == ["A", "f", "g"]


def test_what_is_named_by_a_text_is_taken_where_globals_are_looked_up() -> None:
    namespace = _namespace(
        "def act():\n    pass\ndef plain():\n    return 'act'\ndef f():\n    return globals()['act']\n"
    )
    namespace.require("plain")
    assert sorted(namespace.definitions) == ["plain"]
    namespace.require("f")
    assert sorted(namespace.definitions) == ["act", "f", "plain"]


def test_statements_come_in_an_order_in_which_they_can_be_executed() -> None:
    namespace = _namespace(
        "def late():\n    return Base\nclass Base:\n    pass\nclass Net(Base):\n    x = late()\n"
    )
    namespace.require("Net")
    source = "".join(piece.source for piece in namespace.pieces())
    exec(source, variables := {"__name__": "notebook"})
    assert variables["Net"].x is variables["Base"]  # type: ignore[attr-defined]


def test_the_name_of_its_module_is_asked_for_once_and_late() -> None:
    names = iter(["captured.one", "captured.two"])
    namespace = Namespace({"__name__": "notebook"}, lambda: ModuleName(next(names)), _effects())
    assert not namespace.is_named
    assert namespace.module == namespace.module == "captured.one"
    assert namespace.is_named


def test_features_of_the_language_are_those_of_what_is_taken() -> None:
    namespace = _namespace("from __future__ import annotations\ndef f(x: Unknown):\n    pass\n")
    assert namespace.future() == []
    namespace.require("f")
    assert namespace.future() == ["annotations"]


def test_all_of_a_module_that_something_holds_is_taken() -> None:
    namespace = _namespace("A = 1\ndef f():\n    pass\n", __doc__="A page.")
    namespace.require_all()
    assert sorted(namespace.definitions) == ["A", "ending", "f"]
    assert namespace.is_held


def test_what_cannot_be_pickled_is_made_by_its_statement_if_that_does_nothing_else() -> None:
    source = "import threading\nLOCK = threading.Lock()\nSTREAM = open(__file__)\ndef f():\n    return LOCK, STREAM\n"
    trials = Trials()
    effects = Effects(Names(), trials)
    made = execute_with_function(source, __file__=__file__)
    namespace = Namespace(made, lambda: ModuleName("captured.notebook"), effects)
    namespace.require("f")
    assert namespace.has_values
    with trials.trying(lambda value: "it is of the process"):
        while effects.try_some():
            pass
    made["STREAM"].close()
    assert not namespace.has_values
    assert sorted(namespace.definitions) == ["LOCK", "f", "threading"]
    assert effects.left_out() == [
        "notebook.STREAM cannot be packed and is not defined in the case: it is of the process"
    ]


def test_what_is_used_at_once_is_defined_and_set() -> None:
    effects = _effects()
    made = execute_with_function(
        "KINDS = {}\ndef register(f):\n    KINDS[f.__name__] = f\n    return f\n@register\ndef f():\n    pass\n"
    )
    namespace = Namespace(made, lambda: ModuleName("captured.notebook"), effects)
    namespace.require("f")
    namespace.define_what_is_used_at_once()
    assert "KINDS" in namespace.definitions
    assert effects.globals_of(namespace) == {"KINDS"}
