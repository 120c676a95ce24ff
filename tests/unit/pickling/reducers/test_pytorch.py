"""Objects of PyTorch keep what they forget when they are pickled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from tests.unit.capture.transplant import execute, transplant
from wardian.capture.naming import Global
from wardian.capture.session import Capture
from wardian.errors import UnpicklableError
from wardian.packing.drafting.origins import Origins
from wardian.pickling.reducers.pytorch import ROWS

pytestmark = pytest.mark.filterwarnings("ignore:.*(torch.jit|TypedStorage|uantiz|Converting a tensor).*")


def answer_of(obj: Any, capture: Capture | None = None) -> Any:
    """What the first row that is about an object answers; None if none is."""
    row = next((row for row in ROWS if row.is_about(obj)), None)
    return None if row is None else row.answer(capture or Capture(Origins()), obj)


def test_objects_that_python_pickles_rightly_are_left_to_it() -> None:
    for obj in (
        torch.ones(1),
        nn.Parameter(torch.ones(1)),
        nn.Linear(1, 1),
        nn.Buffer(torch.ones(1)),
        3,
        nn.Linear,
    ):
        assert answer_of(obj) is None


def test_a_parameter_of_a_class_of_its_own_keeps_it() -> None:
    made = execute(
        "from torch import nn\nclass Scale(nn.Parameter):\n    def double(self): return 2 * self\n"
        "import torch\nscale = Scale(torch.ones(2), requires_grad=False)\nscale.tag = 'a'\n"
    )
    scale = transplant([made["scale"]])[0]
    assert (type(scale).__name__, scale.tag, scale.requires_grad) == ("Scale", "a", False)
    assert scale.double().tolist() == [2, 2]


def test_slots_of_a_module_are_kept() -> None:
    made = execute(
        "from torch import nn\nclass Block(nn.Linear):\n    __slots__ = ('scale', 'empty')\n"
        "block = Block(2, 2)\nblock.scale = 3\n"
    )
    block = transplant([made["block"]])[0]
    assert block.scale == 3
    assert not hasattr(block, "empty")
    assert block.weight.shape == (2, 2)


def test_a_parametrized_module_has_its_class_made_again() -> None:
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    again = transplant([layer])[0]
    assert parametrize.is_parametrized(again, "weight")
    assert torch.equal(again.weight, layer.weight)
    assert isinstance(again, nn.Linear)


@pytest.mark.parametrize(
    "operator", [torch.ops.aten.relu, torch.ops.aten.relu.default, torch.ops.aten.add.Tensor]
)
def test_operators_are_written_by_name(operator: Any) -> None:
    assert answer_of(operator) == Global("torch", f"ops.{operator}")
    assert transplant([operator])[0] is operator


def test_an_operator_of_a_library_asks_for_the_library() -> None:
    library = torch.library.Library("orchardreduced", "DEF")  # type: ignore[no-untyped-call]
    library.define("graft(Tensor x) -> Tensor")  # type: ignore[no-untyped-call]
    try:
        asked: list[str] = []

        class Asked(Capture):
            def require_operators(self, namespace: str) -> None:
                asked.append(namespace)

        assert answer_of(torch.ops.orchardreduced.graft, Asked(Origins())) == Global(
            "torch", "ops.orchardreduced.graft"
        )
        answer_of(torch.ops.aten.relu, Asked(Origins()))
        assert asked == ["orchardreduced"]
    finally:
        library._destroy()  # type: ignore[no-untyped-call]


def test_a_custom_operator_that_is_no_global_is_refused_with_its_fix() -> None:
    def make() -> Any:
        @torch.library.custom_op("orchardlocal::double", mutates_args=())
        def double(x: torch.Tensor) -> torch.Tensor:
            return 2 * x

        return double

    operator = make()
    try:
        with pytest.raises(UnpicklableError, match="custom operator that is defined in a function") as caught:
            transplant([operator])
        assert "at the top level" in caught.value.problems[0].fix
    finally:
        operator._lib._destroy()


@pytest.mark.parametrize("limits", [torch.finfo(torch.float16), torch.iinfo(torch.int8)])
def test_limits_of_a_dtype_are_asked_for_again(limits: Any) -> None:
    again = transplant([limits])[0]
    assert (type(again), again.max, again.dtype) == (type(limits), limits.max, limits.dtype)


def test_a_scripted_function_is_scripted_again() -> None:
    made = execute(
        "import torch\ndef double(x: torch.Tensor) -> torch.Tensor:\n    return 2 * x\n"
        "made = torch.jit.script(double)\n"
    )
    again = transplant([made["made"]])[0]
    assert isinstance(again, torch.jit.ScriptFunction)
    assert again(torch.ones(1)).item() == 2
    for function in (made["made"], torch.jit.script(made["double"])):  # the second is one that PyTorch knows
        assert answer_of(function) == (Global("torch.jit", "script"), (made["double"],))


def test_a_traced_function_is_not_made_one_that_has_all_branches() -> None:
    made = execute(
        "import torch\ndef f(x):\n    return 2 * x if x.sum() > 0 else -x\ntraced = torch.jit.trace(f, torch.ones(1))\n"
    )
    with pytest.raises(UnpicklableError, match="traced") as caught:
        transplant([made["traced"]])
    assert caught.value.problems[0].fix.startswith("trace it as the forward of a torch.nn.Module")
