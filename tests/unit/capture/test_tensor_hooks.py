"""Hooks of tensors come back, or it is said whose are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.hooks import unserializable_hook

from tests.unit.capture.transplant import execute, take, transplant

_SOURCE = """
import torch
def halve(p):
    p.data.mul_(0.5)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
        self.free = torch.ones(2, requires_grad=True)
        self.inner.weight.register_post_accumulate_grad_hook(halve)
        self.handle = self.inner.bias.register_hook(lambda g: g * 0)
        self.free.register_hook(self.count)
        self.seen = 0
    def count(self, grad):
        self.seen += 1
    def forward(self, x):
        return self.inner(x) * self.free
"""


def test_hooks_of_parameters_and_tensors_come_back() -> None:
    net = transplant(execute(_SOURCE)["Net"]())
    before = net.inner.weight.detach().clone()
    net(torch.ones(1, 2)).sum().backward()
    assert torch.equal(net.inner.weight, before / 2)
    assert torch.equal(net.inner.bias.grad, torch.zeros(2))
    assert net.seen == 1


def test_a_handle_removes_the_hook_that_it_removed() -> None:
    net = transplant(execute(_SOURCE)["Net"]())
    added = net.inner.bias.register_hook(lambda grad: grad * 3)
    net.handle.remove()
    net(torch.ones(1, 2)).sum().backward()
    assert torch.equal(net.inner.bias.grad, torch.full((2,), 3.0))
    added.remove()


def test_a_parameter_of_a_class_of_its_own_keeps_class_and_hooks() -> None:
    made = execute(
        "import torch\nclass Own(torch.nn.Parameter):\n    pass\n"
        "own = Own(torch.ones(2))\nown.register_hook(lambda g: g * 5)\n"
    )
    own = transplant([made["own"]])[0]
    own.sum().backward()
    assert type(own).__name__ == "Own"
    assert torch.equal(own.grad, torch.full((2,), 5.0))


def _local(stream: Any) -> Callable[[Any], Any]:
    return lambda grad: stream


def _hook(tensor: Any, hook: Any) -> None:
    tensor.register_hook(hook)


def test_hooks_that_cannot_be_packed_are_named() -> None:
    net = torch.nn.Linear(2, 2)
    _hook(net.weight, _local(n for n in "ab"))
    _, capture = take(net)
    (told,) = capture.warnings([])
    assert told.startswith("obj.weight loses its hooks in the case, because they cannot be packed: TypeError")


@pytest.mark.parametrize("kept", [False, True])
def test_hooks_that_need_not_be_kept_are_left_out(kept: bool) -> None:
    net = torch.nn.Linear(2, 2)
    _hook(net.weight, unserializable_hook(_local(n for n in "ab")))  # type: ignore[no-untyped-call]
    if kept:
        _hook(net.weight, torch.relu)
    _, capture = take(net)
    assert capture.warnings([]) == []
    assert list((transplant(net).weight._backward_hooks or {}).values()) == [torch.relu] * kept


def test_pytorch_has_the_names_of_hooks() -> None:
    tensor: Any = torch.ones(1, requires_grad=True)
    tensor.register_post_accumulate_grad_hook(print)
    tensor.register_hook(print)
    assert list(tensor._post_accumulate_grad_hooks.values()) == [print]
    assert list((tensor._backward_hooks or {}).values()) == [print]
