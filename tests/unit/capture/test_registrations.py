"""Which statements of a script register something, and about what."""

from __future__ import annotations

import abc
import ast
import copyreg
import functools
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import importable, write_tree
from tests.unit.capture.transplant import execute
from wardian.capture.effects import Effects
from wardian.capture.namespaces import Namespace
from wardian.capture.naming import Names
from wardian.capture.registrations import Registration, find_call, find_registration, find_settings
from wardian.capture.trials import Trials
from wardian.domain.names import ModuleName


@functools.singledispatch
def show(x: Any) -> int:
    return 0


class Shape(abc.ABC):  # noqa: B024  subclasses register
    pass


def train(model: Any) -> None:
    raise AssertionError("nothing is called")


VARIABLES = {
    "torch": torch,
    "impl": torch.library.impl,
    "library": torch.library.Library("meadow_registrations", "FRAGMENT"),  # type: ignore[no-untyped-call]
    "pytree": torch.utils._pytree,
    "copyreg": copyreg,
    "show": show,
    "Shape": Shape,
    "Net": object,
    "train": train,
}


def _about(source: str) -> Registration | None:
    return find_registration(ast.parse(source).body[0], VARIABLES)


@pytest.mark.parametrize(
    ("source", "names", "operators"),
    [
        ('torch.library.define("shop::scale", "(Tensor x) -> Tensor")', set(), {"shop"}),
        ('@torch.library.register_fake("shop::scale")\ndef _(x): pass', set(), {"shop"}),
        ('@impl("shop::scale", "cpu")\ndef _(x): pass', set(), {"shop"}),
        ('@impl(library, "scale", "CPU")\ndef scale(x): pass', set(), {"meadow_registrations"}),
        ("@show.register\ndef _(x: int): pass", {"show"}, set()),
        ("@show.register(int)\ndef _(x): pass", {"show"}, set()),
        ("show.register(int)(train)", {"show"}, set()),
        ("Shape.register(Net)", {"Shape", "Net"}, set()),
        ("copyreg.pickle(Net, train)", {"Net", "train"}, set()),
        ("pytree.register_pytree_node(Net, train, train)", {"Net", "train"}, set()),
    ],
)
def test_registers(source: str, names: set[str], operators: set[str]) -> None:
    assert _about(source) == Registration(frozenset(names), frozenset(operators))


@pytest.mark.parametrize("source", ["train(Net)", "torch.manual_seed(0)", "unknown.register(Net)", "x = 1"])
def test_does_more_than_register(source: str) -> None:
    assert _about(source) is None


def test_call_with_a_class() -> None:
    def call(source: str) -> Any:
        return find_call(ast.parse(source).body[0], frozenset({"Net"}), VARIABLES)

    assert call("train(Net)") is train
    assert call("train(model=Net)") is train
    assert call("train(Net())") is None
    assert call("train(Shape)") is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("settings.RATE = 2", "settings.RATE"),
        ("settings.RATE: int = 2", "settings.RATE"),
        ("settings.RATE += 2", "settings.RATE"),
        ("settings.RATE = x = Net.rate = 2", "settings.RATE Net.rate"),
        ("settings.RATE, y = 1, 2", "settings.RATE"),
        ("setattr(settings, 'RATE', 2)", "settings.RATE"),
        ("setattr(settings, name, 2)", ""),
        ("Net.rate = 2", "Net.rate"),
        ("type(net).rate = 2", "Net.rate"),
        ("net.__class__.rate = 2", "Net.rate"),
        ("net.rate = 2", ""),
        ("RATE = 2", ""),
        ("settings.RATE", ""),
    ],
)
def test_settings_of_modules_and_classes(source: str, expected: str) -> None:
    net = type("Net", (), {})
    variables = {"settings": types.ModuleType("settings"), "Net": net, "net": net()}
    found = find_settings(ast.parse(source).body[0], variables)
    assert " ".join(f"{owner.__name__}.{name}" for owner, name in found) == expected


def test_only_statements_that_register_tell_of_classes_of_modules(tmp_path: Path) -> None:
    tree = """
    --- nursery.py
    class Beds(dict):
        def register(self, name, cls):
            self[name] = cls
    def train(cls):
        pass
    BEDS = Beds()
    class Rose:
        pass
    """
    with importable(write_tree(tmp_path, tree)) as load:
        rose = load("nursery").Rose
        made = execute(
            "import nursery\nfrom nursery import BEDS, Rose, train\nown = nursery.Beds()\n"
            "BEDS.register('rose', Rose)\nown.register('rose', Rose)\ntrain(Rose)\ndef f():\n    pass\n"
        )
        namespace = Namespace(made, lambda: ModuleName("captured.notebook"), Effects(Names(), Trials()))
        assert namespace.require_calls([rose], of_any_name=False) == ["Rose"]
        statements = [piece.source.strip() for piece in namespace.pieces() if "Rose" in piece.source]
        assert statements == ["from nursery import Rose", "BEDS.register('rose', Rose)"]
