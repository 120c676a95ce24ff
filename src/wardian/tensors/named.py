"""The tensors of an object by the names their modules know them by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

__all__ = ["NamedTensor", "named_tensors"]


class NamedTensor(NamedTuple):
    """A tensor of an object under the name its module knows it by."""

    name: str
    tensor: torch.Tensor
    kind: Literal["parameter", "buffer", "transient"]


def named_tensors(obj: Any, prefix: str = "") -> Iterator[NamedTensor]:
    """Yield the named tensors of *obj*: of modules, of mappings and sequences of them, of state_dicts.

    Args:
        obj: A module, tensor, mapping with string keys, list or tuple; anything else has none.
        prefix: What the names begin with.
    """
    if isinstance(obj, nn.Module):
        yield from _of_module(obj, prefix)
    elif isinstance(obj, torch.Tensor):
        yield NamedTensor(
            prefix.removesuffix("."), obj, "parameter" if isinstance(obj, nn.Parameter) else "buffer"
        )
    elif isinstance(obj, Mapping):
        for key, value in obj.items():
            if not isinstance(key, str):
                continue
            if type(value) is torch.Tensor:  # as most are, of which there may be very many
                yield NamedTensor(prefix + key, value, "buffer")
            else:
                yield from named_tensors(value, f"{prefix}{key}.")
    elif isinstance(obj, list | tuple):
        for index, value in enumerate(obj):
            yield from named_tensors(value, f"{prefix}{index}.")


def _of_module(module: nn.Module, prefix: str) -> Iterator[NamedTensor]:
    state = module.state_dict(keep_vars=True)
    listed = set[str]()
    for name, parameter in module.named_parameters(remove_duplicate=False):
        listed.add(name)
        yield NamedTensor(prefix + name, parameter, "parameter")
    for name, buffer in module.named_buffers(remove_duplicate=False):
        listed.add(name)
        yield NamedTensor(prefix + name, buffer, "buffer" if name in state else "transient")
    # What a module adds to its state_dict by itself, such as packed weights of quantised layers.
    for name, value in state.items():
        if name not in listed and isinstance(value, torch.Tensor):
            yield NamedTensor(prefix + name, value, "buffer")
