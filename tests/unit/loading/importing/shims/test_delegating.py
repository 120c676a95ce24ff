"""A shim has its own attributes and else those of the original, as they are at the moment."""

from __future__ import annotations

import types
from typing import Any

import pytest

from wardian.loading.importing.shims.delegating import delegate, own_name


def original() -> Any:
    module: Any = types.ModuleType("soil", "About soil.")
    module.depth, module.kind = 3, "peat"
    return module


def test_what_it_does_not_have_itself_is_that_of_the_original() -> None:
    module = original()
    made = delegate("soil", module, depth=4)
    assert (made.depth, made.kind, made.__name__, made.__doc__) == (4, "peat", "soil", "About soil.")
    module.kind = "clay"
    assert made.kind == "clay"
    assert set(dir(made)) >= {"depth", "kind"}
    assert made.__path__ == []  # modules may be found below it
    with pytest.raises(AttributeError, match="wind"):
        _ = made.wind


class _Mount:
    name = "wardian.live.yew_0123abcd"

    def own_name(self, name: str) -> str | None:
        return name[len(self.name) + 1 :] if name.startswith(f"{self.name}.") else None


def ask(name: str, caller: str) -> str:
    """What code of a module of this name gets."""
    scope: dict[str, Any] = {"__name__": caller, "own_name": own_name, "mount": _Mount(), "name": name}
    exec("found = (lambda: own_name(mount, name, 0))()", scope)
    found: str = scope["found"]
    return found


@pytest.mark.parametrize(
    ("name", "caller", "meant"),
    [
        ("wardian.live.yew_0123abcd.yew.leaf", "wardian.live.yew_0123abcd.yew.leaf", "yew.leaf"),
        ("yew", "wardian.live.yew_0123abcd.yew.leaf", "yew"),
        ("json", "wardian.live.yew_0123abcd.yew.leaf", "json"),
        # __name__.split(".")[0]
        ("wardian", "wardian.live.yew_0123abcd.yew.leaf", "yew"),
        ("wardian", "elsewhere", "wardian"),
    ],
)
def test_a_name_that_was_derived_from_the_name_of_the_module_means_the_packed_one(
    name: str, caller: str, meant: str
) -> None:
    assert ask(name, caller) == meant
