"""Where in an object something is."""

from __future__ import annotations

import weakref

from wardian.pickling.paths import find_path, find_places, find_type_paths


class _Leaf:
    pass


def _refuse(obj: object) -> type:
    raise RuntimeError("do not ask")


_Moody = type("_Moody", (), {"__class__": property(_refuse)})


def test_what_raises_when_it_is_looked_at_is_passed_by() -> None:
    leaf = _Leaf()
    gone = weakref.proxy(_Leaf())
    held = {"gone": gone, "moody": _Moody(), "leaf": [leaf]}
    assert find_path(held, leaf, "model") == "model['leaf'][0]"
    wanted = (__name__, "_Leaf")
    assert find_type_paths(held, "model", {wanted}) == {wanted: "model['leaf'][0]"}


class _Bare:
    __slots__ = ()


class _Slotted(_Bare):
    __slots__ = ("leaf",)
    leaf: object


class _Listed(list[object]):
    __slots__ = ()


class _Stands:
    """For the dictionary that it has."""

    __slots__ = ("_held",)

    def __init__(self, held: dict[str, object]) -> None:
        self._held = held

    def __getattribute__(self, name: str) -> object:
        return getattr(object.__getattribute__(self, "_held"), name)

    def __getitem__(self, key: str) -> object:
        return object.__getattribute__(self, "_held")[key]


def test_it_is_looked_into_whatever_can_hold_something() -> None:
    leaf, held = _Leaf(), {1: "one"}
    slotted, others = _Slotted(), {"a": held}
    slotted.leaf = leaf
    for holder, step in (
        (slotted, ".leaf"),
        (_Listed([leaf]), "[0]"),
        (weakref.ref(leaf), "()"),
        (_Stands({"a": leaf}), "['a']"),
    ):
        assert find_path([_Bare(), 1j, holder], leaf, "model") == f"model[2]{step}"
    assert find_type_paths([1j, 2j, others], "m", {("builtins", "complex"), ("builtins", "dict")}) == {
        ("builtins", "complex"): "m[0]",
        ("builtins", "dict"): "m[2]",
    }


def test_every_object_of_a_class_is_found_where_it_is_first() -> None:
    leaf = _Leaf()
    held = {"a": leaf, "b": [_Leaf(), leaf], "kind": _Leaf, "else": _Bare()}
    wanted = (__name__, "_Leaf")
    found = {wanted: ("model['a']", "model['kind']", "model['b'][0]")}
    assert find_places(held, "model", {wanted, (__name__, "_Slotted")}) == found
    assert find_places(held, "model", set()) == {}
