"""A mocked name can be read, passed on and derived from; using it is an error that says what to do."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import types
from typing import Any

import pytest

from wardian.errors import ModuleNotInCaseError
from wardian.loading.stand_ins.mocked import LeftOutLoader, MockedObject, MockLoader


def mocked(name: str = "plotlib") -> types.ModuleType:
    spec = importlib.machinery.ModuleSpec(f"wardian.live.x_0123abcd.{name}", MockLoader(name))
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


def test_every_name_is_there_and_names_itself_as_it_was_packed() -> None:
    module = mocked()
    assert repr(module.figure) == "<mocked plotlib.figure>"
    assert repr(module.figure.axes.line) == "<mocked plotlib.figure.axes.line>"
    assert isinstance(module.figure, MockedObject)


def test_a_call_says_that_it_was_mocked() -> None:
    with pytest.raises(
        NotImplementedError, match=r"plotlib\.figure\.draw was mocked .*Policy\(intern=\[\.\.\.\]\)"
    ):
        mocked().figure.draw(1, dpi=2)


def test_protocols_find_nothing() -> None:
    module = mocked()
    for thing in (module, module.figure):
        for name in ("__wrapped__", "__torch_function__", "__array__"):
            assert not hasattr(thing, name)
        with pytest.raises(TypeError):
            len(thing)


def test_a_class_may_derive_from_it() -> None:
    base: Any = mocked().Figure

    class Plot(base):  # type: ignore[misc]
        def draw(self) -> int:
            return 1

    assert Plot.__mro__ == (Plot, object)
    assert Plot().draw() == 1


def test_a_module_that_was_left_out_is_found_and_says_why_it_is_not_there() -> None:
    loader = LeftOutLoader("sage.roots", "sage 1.0", "the case x.case")
    spec = importlib.machinery.ModuleSpec("wardian.live.x_0123abcd.sage.roots", loader)
    with pytest.raises(ModuleNotInCaseError) as caught:
        importlib.util.module_from_spec(spec)
    assert caught.value.name == "sage.roots"
    assert str(caught.value).startswith(
        "sage.roots is not in the case x.case: of sage 1.0 it has the modules"
    )
    assert 'Policy(intern=["sage.roots.**"])' in str(caught.value)
