"""The code that PyTorch generates of a graph, from which the graph is traced again when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

import torch.fx.graph

from wardian.environment.modules import known_attribute

__all__ = ["calling_operators", "find_calls", "find_compiled"]


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


def find_compiled(obj: Any, name: str) -> list[str]:
    """Return what of *obj* is compiled by `torch.compile` and will not be where it is loaded, by its place.

    They are functions and methods that an attribute holds, and modules on which `Module.compile` was called:
    their pickles have what was compiled. A module that `torch.compile` returned compiles itself again.

    Args:
        obj: The object.
        name: What to call it.
    """
    modules = obj.named_modules() if isinstance(obj, torch.nn.Module) else [("", obj)]
    found: list[str] = []
    for path, module in modules:
        place = f"{name}.{path}" if path else name
        known = known_attribute(module, "__dict__") or {}
        if "_orig_mod" in known.get("_modules", ()):
            continue
        if known.get("_compiled_call_impl") is not None:
            found.append(place)
        found += [
            f"{place}.{attribute}"
            for attribute, value in known.items()
            if attribute != "_compiled_call_impl" and isinstance(value, FunctionType | MethodType)
            if hasattr(value, "_torchdynamo_orig_callable")
        ]
    return found
