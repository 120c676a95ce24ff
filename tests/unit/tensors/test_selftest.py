"""A self-test runs with a fixed seed and without gradients, and leaves random generators as they were."""

# ruff: noqa: NPY002  the generators that numpy has for all are meant

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from wardian.tensors.selftest import modes, operator_libraries, operator_schemas, run


def draw() -> list[float]:
    return [torch.rand(()).item(), random.random(), float(np.random.rand())]


def test_each_run_draws_the_same_and_the_caller_draws_on() -> None:
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    draw()
    undisturbed = draw()
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    draw()
    first = run(draw, ())
    assert draw() == undisturbed
    assert run(draw, ()) == first != undisturbed


def test_a_run_that_fails_leaves_the_generators_as_they_were_too() -> None:
    def fail() -> None:
        draw()
        raise RuntimeError("fails")

    states = (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["pos"],
        torch.get_rng_state().tolist(),
    )
    with pytest.raises(RuntimeError, match="fails"):
        run(fail, ())
    assert (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["pos"],
        torch.get_rng_state().tolist(),
    ) == states
    assert torch.is_grad_enabled()


def test_inputs_are_positional_or_by_name_and_there_are_no_gradients() -> None:
    def called(*given: Any, **named: Any) -> Any:
        return given, named, torch.is_grad_enabled()

    assert run(called, (1, 2)) == ((1, 2), {}, False)
    assert run(called, {"x": 1}) == ((), {"x": 1}, False)


def test_what_fails_without_gradients_is_called_once_more_with_them() -> None:
    x, drawn = torch.ones(2, requires_grad=True), []

    def slope(x: torch.Tensor) -> torch.Tensor:
        drawn.append(draw())
        return torch.autograd.grad((x**2).sum(), x)[0]

    with torch.no_grad():
        assert run(slope, (x,)).tolist() == [2, 2]
        assert not torch.is_grad_enabled()
    assert drawn[0] == drawn[1]

    def fail() -> None:
        raise LookupError(torch.is_grad_enabled())

    with pytest.raises(LookupError, match="True"):
        run(fail, ())


def test_what_lacks_a_module_is_not_called_once_more() -> None:
    def fail() -> None:
        try:
            import windmill  # type: ignore[import-not-found]  # noqa: F401
        except ImportError as error:
            raise RuntimeError(torch.is_grad_enabled()) from error

    with pytest.raises(RuntimeError, match="False"):
        run(fail, ())


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (lambda: torch.autocast("cpu"), ['torch.autocast("cpu")']),
        (lambda: torch.device("meta"), ['torch.device("meta")']),
        (lambda: torch.device("cpu"), []),
    ],
)
def test_modes_are_said_as_one_sets_them(mode: Callable[[], Any], said: list[str]) -> None:
    assert modes() == []
    with mode():
        assert modes() == said
    torch.set_default_dtype(torch.float64)
    try:
        assert modes() == ["torch.set_default_dtype(torch.float64)"]
    finally:
        torch.set_default_dtype(torch.float32)


def test_operators_of_python_are_not_those_of_native_code() -> None:
    assert any(schema.startswith("aten::relu(") for schema in operator_schemas())
    before = operator_schemas()
    library = torch.library.Library("orchard_selftest", "DEF")  # type: ignore[no-untyped-call]
    library.define("graft(Tensor x) -> Tensor")  # type: ignore[no-untyped-call]
    try:
        assert operator_schemas() == before
    finally:
        library._destroy()  # type: ignore[no-untyped-call]
    assert operator_libraries() == frozenset(torch.ops.loaded_libraries)
