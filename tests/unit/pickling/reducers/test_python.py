"""Objects of the standard library come back as what they were, with what they share."""

from __future__ import annotations

import functools
import types
import typing
import weakref
from typing import Any

import pytest
import torch

from tests.unit.capture.transplant import execute, take, transplant
from wardian.errors import UnpicklableError


class Tree:
    """Can be referred to weakly."""


def test_a_member_of_an_enumeration_whose_value_is_equal_to_no_other() -> None:
    made = execute(
        "import enum, functools\nclass Act(enum.Enum):\n    TWICE = enum.member(functools.partial(lambda x: 2 * x))\n    ONCE = 1\n"
        "    @classmethod\n    def _missing_(cls, value):\n        return cls.ONCE\npair = [Act.TWICE, Act.ONCE]"
    )
    twice, once = transplant(made["pair"])
    assert (twice.name, twice.value(4), once.name) == ("TWICE", 8, "ONCE")
    assert twice is type(twice).TWICE


@pytest.mark.parametrize(
    "function", [len, str.join, dict.fromkeys, torch.relu, torch.Tensor.add, object.__init__]
)
def test_functions_of_c_code_are_written_by_name(function: Any) -> None:
    assert transplant([function])[0] is function or transplant([function])[0] == function


def test_cells_are_filled_after_they_are_made() -> None:
    cell = types.CellType()
    cell.cell_contents = [cell]
    full, empty, again = transplant([cell, types.CellType(), cell])
    assert full.cell_contents[0] is full is again
    with pytest.raises(ValueError, match="empty"):
        _ = empty.cell_contents


def test_a_method_whose_name_leads_elsewhere_is_bound_again() -> None:
    made = execute(
        "class Net:\n    def run(self):\n        return 1\n    def other(self):\n        return 2\n"
        "    @classmethod\n    def make(cls):\n        return cls\nnet = Net()\nnet.run = net.other\n"
        "import types\nnet.free = types.MethodType(lambda self: self, net)\n"
    )
    net, run, make = transplant([made["net"], made["net"].run, made["Net"].make])
    assert net.run() == run() == 2
    assert run.__self__ is net
    assert net.free() is net
    assert make() is type(net)


def test_views_and_forward_references() -> None:
    table = {"a": [1]}
    view, part, reference = transplant([types.MappingProxyType(table), table["a"], typing.ForwardRef("Net")])
    assert type(view) is types.MappingProxyType
    assert view["a"] is part
    assert reference == typing.ForwardRef("Net")


def test_weak_references_refer_to_what_is_there() -> None:
    made = execute("class Tree:\n    def grow(self): return self\ntree = Tree()\ndef gone(reference): pass\n")
    tree = made["tree"]
    back = transplant(
        {
            "tree": tree,
            "ref": weakref.ref(tree),
            "told": weakref.ref(tree, made["gone"]),
            "dead": weakref.ref(made["Tree"]()),
            "method": weakref.WeakMethod(tree.grow),
            "proxy": weakref.proxy(tree),
            "set": weakref.WeakSet([tree]),
            "values": weakref.WeakValueDictionary({"a": tree}),
            "keys": weakref.WeakKeyDictionary({tree: "a"}),
        }
    )
    new = back["tree"]
    assert back["ref"]() is back["told"]() is new
    assert back["told"].__callback__.__name__ == "gone"
    assert back["dead"]() is None
    assert back["method"]()() is new
    assert back["proxy"].grow() is new
    assert list(back["set"]) == [new]
    assert dict(back["values"]) == {"a": new}
    assert dict(back["keys"]) == {new: "a"}


def test_a_weak_dictionary_may_hold_itself() -> None:
    held: Any = weakref.WeakValueDictionary()
    held["itself"] = held
    assert transplant(held)["itself"]["itself"] is not held


def test_properties_and_the_like_are_made_again() -> None:
    made = execute(
        "import functools\nclass Lazy(functools.cached_property): pass\nclass Typed(property):\n    kind = None\n"
        "def get(self): return 3\ndef put(self, value): pass\n"
        "typed = Typed(get, put, None, 'doc')\ntyped.kind = 'int'\n"
        "found = [property(get, put, doc='doc'), typed, staticmethod(get), classmethod(get),"
        " functools.cached_property(get), Lazy(get)]\n"
    )
    plain, typed, static, of_class, cached, lazy = transplant(made["found"])
    assert (plain.fget(None), plain.fset.__name__, plain.fdel, plain.__doc__) == (3, "put", None, "doc")
    assert (type(typed).__name__, typed.kind, typed.fget(None)) == ("Typed", "int", 3)
    assert static.__func__ is of_class.__func__ is cached.func is lazy.func is plain.fget
    assert (type(static), type(of_class), type(cached)) == (
        staticmethod,
        classmethod,
        functools.cached_property,
    )
    assert type(lazy).__name__ == "Lazy"
    holder = type("Holder", (), {"value": cached})
    cached.__set_name__(holder, "value")
    assert holder().value == 3


def test_type_variables_are_those_of_their_module_or_made_again() -> None:
    made = execute(
        "import typing\nT = typing.TypeVar('T', int, str)\nP = typing.ParamSpec('P')\nUser = typing.NewType('User', int)\n"
        "def make(): return typing.TypeVar('L'), typing.NewType('Local', str)\nlocal = make()\n"
        "def use(): return T, P, User\n"
    )
    found, used, local = transplant([[made["T"], made["P"], made["User"]], made["use"], made["local"]])
    assert [a is b for a, b in zip(found, used(), strict=True)] == [True] * 3
    assert found[0].__constraints__ == (int, str)
    assert (found[2].__name__, found[2].__supertype__) == ("User", int)
    assert (local[0].__name__, local[1].__supertype__) == ("L", str)
    assert transplant(typing.AnyStr) is typing.AnyStr


def test_a_function_with_a_memo_comes_with_an_empty_one() -> None:
    made = execute(
        "import functools\n@functools.lru_cache(maxsize=7, typed=True)\ndef known(x): return x\n"
        "def make(): return functools.lru_cache(lambda x: -x)\nfree = make()\nfree(1)\nknown(1)\n"
    )
    known, free = transplant([made["known"], made["free"]])
    assert known.cache_parameters() == {"maxsize": 7, "typed": True}
    assert (free(2), free.cache_parameters()["maxsize"]) == (-2, 128)
    assert free.cache_info().currsize == 1
    same = transplant([functools.lru_cache, torch.typename])
    assert same == [functools.lru_cache, torch.typename]


def test_a_proxy_of_something_that_is_gone_cannot_be_packed() -> None:
    gone = weakref.proxy(Tree())
    with pytest.raises((UnpicklableError, ReferenceError)):
        take([gone])
