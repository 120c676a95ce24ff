"""The tensors of an object by the names their modules know them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

__all__ = ["NamedTensor", "named_tensors"]


class NamedTensor(NamedTuple):
    """A tensor of an object under the name its module knows it by."""

    name: str
    tensor: torch.Tensor
    kind: Literal["parameter", "buffer", "transient"]


def named_tensors(obj: Any) -> Iterator[NamedTensor]:
    """Yield the named tensors of *obj*: of modules, of mappings and sequences of them, of state_dicts.

    Args:
        obj: A module, tensor, mapping with string keys, list or tuple; anything else has none. A container
            that is part of itself has the names of one round.
    """
    return _named(obj, "", ())


def _named(obj: Any, prefix: str, around: tuple[int, ...]) -> Iterator[NamedTensor]:
    if isinstance(obj, nn.Module):
        yield from _of_module(obj, prefix)
    elif isinstance(obj, torch.Tensor):
        yield NamedTensor(
            prefix.removesuffix("."), obj, "parameter" if isinstance(obj, nn.Parameter) else "buffer"
        )
    elif id(obj) in around:
        return
    elif isinstance(obj, Mapping):
        if type(obj) is not dict or _may_hold_tensors(obj.values()):
            items = ((key, value) for key, value in obj.items() if isinstance(key, str))
            yield from _of_items(items, prefix, (*around, id(obj)))
    elif isinstance(obj, list | tuple) and _may_hold_tensors(obj):
        yield from _of_items(enumerate(obj), prefix, (*around, id(obj)))


_ATOMS = frozenset({int, float, str, bytes, bool, complex, type(None)})


def _may_hold_tensors(values: Iterable[Any]) -> bool:
    """Tell whether one of *values* is no atom; of a million numbers that takes no step of Python."""
    return not _ATOMS.issuperset(map(type, values))


def _of_items(
    items: Iterable[tuple[str | int, Any]], prefix: str, around: tuple[int, ...]
) -> Iterator[NamedTensor]:
    for key, value in items:
        kind = type(value)
        # What most items are, of which there may be very many, without a generator of their own.
        if kind in _ATOMS or (kind in (list, tuple) and not _may_hold_tensors(value)):
            continue
        if kind is torch.Tensor:
            yield NamedTensor(f"{prefix}{key}", value, "buffer")
        else:
            yield from _named(value, f"{prefix}{key}.", around)


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
