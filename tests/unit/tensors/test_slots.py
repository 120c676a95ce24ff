"""The names that places of a module have without wrappers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from wardian.tensors.slots import plain_paths, slots, without_wrappers


def compiled(module: nn.Module) -> Any:
    return torch.compile(module)


@pytest.mark.parametrize(
    ("wrapped", "full"),
    [
        (lambda part: part, "part.weight"),
        (compiled, "part._orig_mod.weight"),
        (checkpoint_wrapper, "part._checkpoint_wrapped_module.weight"),
        (nn.DataParallel, "part.module.weight"),
        (lambda part: compiled(nn.DataParallel(part)), "part._orig_mod.module.weight"),
        (lambda part: nn.DataParallel(compiled(part)), "part.module._orig_mod.weight"),
        (lambda part: nn.ModuleDict({"_orig_mod": part}), "part._orig_mod.weight"),
    ],
)
@pytest.mark.parametrize("around", [lambda model: model, compiled, nn.DataParallel])
def test_a_place_has_its_name_without_wrappers(wrapped: Any, full: str, around: Any) -> None:
    part = wrapped(nn.Linear(1, 1, bias=False))
    (slot,) = slots(around(nn.ModuleDict({"part": part})))
    name = full if isinstance(part, nn.ModuleDict) else "part.weight"
    assert (slot.name, slot.key, slot.kind) == (name, "weight", "parameter")
    assert slot.full_name.endswith(full)


def test_buffers_that_are_in_no_state_dict_are_of_another_kind() -> None:
    model = nn.Module()
    model.register_buffer("kept", torch.ones(1))
    model.register_buffer("left", torch.ones(1), persistent=False)
    assert [(slot.name, slot.kind) for slot in slots(model)] == [("kept", "buffer"), ("left", "transient")]


def test_a_module_that_is_there_twice_has_both_paths() -> None:
    shared = nn.Linear(1, 1)
    model = nn.ModuleDict({"one": shared, "other": compiled(shared)})
    assert plain_paths(model) == {"": "", "one": "one", "other": "other", "other._orig_mod": "other"}


def test_a_name_of_a_case() -> None:
    assert without_wrappers("_orig_mod.layers.0._checkpoint_wrapped_module.weight") == "layers.0.weight"
    assert without_wrappers("module.weight") == "module.weight"
