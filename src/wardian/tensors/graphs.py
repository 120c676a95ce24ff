"""The code that PyTorch generates of a graph, from which the graph is traced again when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.fx.graph

__all__ = ["calling_operators", "find_calls"]


def find_calls(obj: Any) -> list[Any]:
    """Return the functions that the graph of *obj* calls; none if it has no graph."""
    nodes = obj.graph.nodes if isinstance(obj, torch.fx.GraphModule) else ()
    return [node.target for node in nodes if node.op == "call_function"]


@contextmanager
def calling_operators(obj: Any) -> Iterator[None]:
    """Let the code of a graph call `operator.iadd` and its like, not write `x += 1`, while the block runs.

    A trace meets a proxy there, which has only `+`, and gives a graph that calls `operator.add`:
    https://github.com/pytorch/pytorch/blob/v2.8.0/torch/fx/graph.py#L702
    """
    statements = torch.fx.graph.inplace_methods
    changed = any(
        getattr(call, "__module__", "") == "_operator" and call.__name__ in statements
        for call in find_calls(obj)
    )
    if not changed:
        yield
        return
    torch.fx.graph.inplace_methods = {}
    try:
        yield
    finally:
        torch.fx.graph.inplace_methods = statements
        obj.recompile()  # what is packed is not modified
