"""Which statements of a script register something, and about what."""

from __future__ import annotations

import abc
import ast
import copyreg
import functools
import types
from typing import Any

import pytest

from wardian.capture.registrations import Registration, find_call, find_registration, find_setting

torch = pytest.importorskip("torch")


@functools.singledispatch
def show(x: Any) -> int:
    return 0


class Shape(abc.ABC):  # noqa: B024  subclasses register
    pass


def train(model: Any) -> None:
    raise AssertionError("nothing is called")


VARIABLES = {
    "torch": torch,
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


def test_setting_of_a_global() -> None:
    module = types.ModuleType("settings")

    def setting(source: str) -> Any:
        return find_setting(ast.parse(source).body[0], {"settings": module, "net": object()})

    assert setting("settings.RATE = 2") == (module, "RATE")
    assert setting("net.rate = 2") is None
    assert setting("RATE = 2") is None
