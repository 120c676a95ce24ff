"""The source of a mocked module: every name is there, and all that is done with one raises."""

from __future__ import annotations

import copy
import operator
import types
from collections.abc import Callable
from typing import Any

import pytest

from wardian.package._modules import stand_in_source


def module(name: str = "wardian.live.shed_0123abcd.tools.plots") -> Any:
    made = types.ModuleType(name)
    exec(stand_in_source(), made.__dict__)
    return made


USES: list[Callable[[Any], Any]] = [
    lambda name: name(),
    lambda name: name.attribute,
    lambda name: setattr(name, "attribute", 1),
    lambda name: delattr(name, "attribute"),
    lambda name: name[0],
    lambda name: operator.setitem(name, 0, 1),
    lambda name: operator.delitem(name, 0),
    lambda name: name == 1,
    lambda name: name != 1,
    lambda name: name < 1,
    lambda name: name + 1,
    lambda name: 1 + name,
    lambda name: operator.iadd(name, 1),  # type: ignore[no-untyped-call]
    lambda name: name @ 1,
    lambda name: -name,
    lambda name: 1 in name,
    lambda name: isinstance(1, name),
    lambda name: issubclass(int, name),
    lambda name: name.__enter__(),
    bool,
    len,
    iter,
    next,
    int,
    float,
    complex,
    bytes,
    hash,
    dir,
    abs,
    round,
    operator.index,
    reversed,
    format,
    copy.copy,
    copy.deepcopy,
]


@pytest.mark.parametrize("use", USES)
def test_whatever_is_done_with_a_name_raises(use: Callable[[Any], Any]) -> None:
    with pytest.raises(NotImplementedError, match=r"^tools\.plots\.draw was mocked out during packaging"):
        use(module().draw)


def test_a_name_can_be_shown_and_derived_from() -> None:
    base = module().Figure
    assert repr(base) == "MockedObject(tools.plots.Figure)"

    class Plot(base):  # type: ignore[misc, valid-type]
        pass

    assert Plot.__mro__ == (Plot, object)


def test_protocols_find_nothing() -> None:
    made = module()
    assert not hasattr(made, "__wrapped__")
    assert not hasattr(made.draw, "__torch_function__")
    assert repr(module("tools").draw) == "MockedObject(tools.draw)"


def test_it_imports_nothing_so_that_it_runs_where_wardian_is_not() -> None:
    assert b"import" not in stand_in_source()
