"""Stand-ins that know their function weakly."""

from __future__ import annotations

import atexit
import gc
from typing import Any

import pytest
import torch

from wardian.errors import ClosedCaseError
from wardian.loading.registering.lifetimes import ExitFunction, callback_of, kernel_of, modules_of


def test_a_callback_goes_with_the_globals_that_hold_its_function() -> None:
    scope: dict[str, Any] = {}
    exec("def double(x):\n    return 2 * x", scope)
    callback = callback_of(scope["double"], scope)
    assert callback(2) == 4
    assert callback == scope["double"]
    assert callback != callback_of(len, scope)
    scope.clear()
    gc.collect()
    assert callback(2) is None


def test_a_call_is_made_once_and_not_at_all_if_it_was_unregistered() -> None:
    called: list[str] = []

    def first(what: str) -> None:
        called.append(what)

    for unregistered in (False, True):
        scope: dict[str, Any] = {}
        atexit.register(ExitFunction(first, ("late",), {}).register(scope))
        if unregistered:
            atexit.unregister(first)
        scope["itself"] = scope
        del scope
        gc.collect()
    assert called == ["late"]


def test_a_kernel_lives_as_long_as_its_library() -> None:
    scope: dict[str, Any] = {"__name__": "wardian.live.fern_00000000.fern"}
    library = torch.library.Library("unit_lifetimes", "FRAGMENT")  # type: ignore[no-untyped-call]
    kernel = kernel_of(library, ("impl", "half"), lambda x: x / 2, scope)
    assert kernel(4) == 2
    assert modules_of(library) == [scope]
    del library
    gc.collect()
    with pytest.raises(ClosedCaseError):
        kernel(4)
