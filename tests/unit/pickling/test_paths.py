"""Where in an object something is."""

from __future__ import annotations

import weakref

from wardian.pickling.paths import find_path, find_type_paths


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
