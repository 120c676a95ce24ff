"""Classes and functions of a closed case say so where pickling them fails, and else are as before."""

from __future__ import annotations

import pickle
import types
from typing import Any

import pytest

from wardian.loading.closing.closed import ClosedModuleName, how_to_load, mark_closed, open_again

NAME = "wardian.live.yew_0123abcd.yew"
SOURCE = """
from json import JSONDecoder, dumps
class Meta(type):
    def __setattr__(cls, name, value):
        raise TypeError("frozen")
class Tree:
    class Leaf:
        def fall(self): pass
    def grow(self): pass
    itself = None
class Frozen(metaclass=Meta):
    pass
Tree.itself = Tree
def plant(): pass
number = 3
def make():
    class Late: pass
    return Late
"""


@pytest.fixture
def module() -> Any:
    module = types.ModuleType(NAME)
    exec(SOURCE, module.__dict__)
    return module


def test_all_that_a_module_defines_is_marked_and_nothing_of_others(module: Any) -> None:
    mark_closed([module], "yew.case", shared=False)
    for found in (module.Tree, module.Tree.Leaf, module.Frozen, module.Meta, module.plant):
        assert type(found.__module__) is ClosedModuleName
        assert found.__module__ == NAME
        assert (found.__module__.path, found.__module__.call) == ("yew.case", "wardian.load('yew.case')")
    assert type(module.JSONDecoder.__module__) is str
    assert type(module.dumps.__module__) is str
    assert type(module.make().__module__) is ClosedModuleName  # what it makes from now on


def test_pickling_tells_how_it_is_loaded_again(module: Any) -> None:
    mark_closed([module], "yew.case", shared=True)
    with pytest.raises(pickle.PicklingError, match=r"closed in this process; load it again: .*share=True"):
        pickle.dumps(module.Tree())


def test_the_name_is_the_same_text_and_pickles_as_that() -> None:
    name = ClosedModuleName(NAME)
    name.path, name.call = "yew.case", "wardian.load('yew.case')"
    assert repr(name) == (
        f"{NAME!r}, of a case that was closed in this process; load it again: wardian.load('yew.case'),"
    )
    assert (name, f"{name}") == (NAME, NAME)
    again = pickle.loads(pickle.dumps(name))
    assert (type(again), again) == (str, NAME)


@pytest.mark.parametrize(
    ("path", "shared", "call"),
    [
        ("/a b/yew.case", False, "wardian.load('/a b/yew.case')"),
        ("yew.case", True, "wardian.load('yew.case', share=True)"),
        ("<memory>", False, "wardian.load(...)"),
    ],
)
def test_the_call_is_one_that_can_be_made(path: str, shared: bool, call: str) -> None:
    assert how_to_load(path, shared=shared) == call
    assert open_again(call).endswith(f"load it again: {call}")
