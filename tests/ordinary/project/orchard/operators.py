"""Operators of the library."""

import torch
from torch.utils import _pytree as pytree

LIBRARY = torch.library.Library("orchard", "DEF")
LIBRARY.define("pick(Tensor x, int n) -> Tensor")


@torch.library.impl(LIBRARY, "pick", "CPU")
def pick(x, n):
    return x + n


@torch.library.register_fake("orchard::pick", lib=LIBRARY)
def _(x, n):
    return torch.empty_like(x)


torch.library.define("orchard::prune", "(Tensor x) -> Tensor")


@torch.library.impl("orchard::prune", "default")
def prune(x):
    return x - 1


@torch.library.register_fake("orchard::prune")
def _(x):
    return torch.empty_like(x)


@torch.library.custom_op("orchard::graft", mutates_args=())
def graft(x: torch.Tensor, times: int) -> torch.Tensor:
    return x.clone() * times


@graft.register_fake
def _(x, times):
    return torch.empty_like(x)


def _setup(ctx, inputs, output):
    ctx.times = inputs[1]


def _backward(ctx, grad):
    return grad * ctx.times, None


graft.register_autograd(_backward, setup_context=_setup)


@torch.library.register_vmap("orchard::graft")
def _(info, in_dims, x, times):
    return graft(x, times), in_dims[0]


@torch.library.custom_op("orchard::mulch", mutates_args={"x"})
def mulch(x: torch.Tensor) -> None:
    x.mul_(2)


@graft.register_kernel("meta")
def _(x, times):
    return torch.empty_like(x)


class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b


pytree.register_pytree_node(
    Pair, lambda p: ([p.a, p.b], None), lambda values, _: Pair(*values), serialized_type_name="orchard.Pair"
)


class Settings:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n

    def __hash__(self):
        return hash(self.n)


pytree.register_constant(Settings)

import dataclasses


@dataclasses.dataclass
class Crate:
    x: torch.Tensor
    y: torch.Tensor


pytree.register_dataclass(Crate)


class Grafted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        return torch.ops.orchard.pick(graft(self.linear(x), 2), 1) + torch.ops.orchard.prune(x)


def use(x):
    leaves = pytree.tree_leaves(Pair(x, x))
    crate = pytree.tree_map(lambda v: v + 1, Crate(x, x))
    y = x.clone()
    mulch(y)
    return torch.ops.orchard.pick(x, 1) + graft(x, 3) + len(leaves) + crate.y + torch.ops.orchard.prune(x) + y
