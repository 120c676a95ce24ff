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
    try:
        state = module.state_dict(keep_vars=True)
        parameters = list(module.named_parameters(remove_duplicate=False))
        buffers = list(module.named_buffers(remove_duplicate=False))
    except RecursionError:
        # A module that is part of itself, as by `weakref.proxy(self)`: PyTorch goes round for ever.
        parts = list(_parts(module, "", ()))
        state = {}
        for path, part in parts:
            part._save_to_state_dict(state, path, True)
        parameters = [
            (at + key, p) for at, part in parts for key, p in part._parameters.items() if p is not None
        ]
        buffers = [(at + key, b) for at, part in parts for key, b in part._buffers.items() if b is not None]
    listed = set[str]()
    for name, parameter in parameters:
        listed.add(name)
        yield NamedTensor(prefix + name, parameter, "parameter")
    for name, buffer in buffers:
        listed.add(name)
        yield NamedTensor(prefix + name, buffer, "buffer" if name in state else "transient")
    # What a module adds to its state_dict by itself, such as packed weights of quantised layers.
    for name, value in state.items():
        if name not in listed and isinstance(value, torch.Tensor):
            yield NamedTensor(prefix + name, value, "buffer")


def _parts(module: nn.Module, path: str, around: tuple[int, ...]) -> Iterator[tuple[str, nn.Module]]:
    """Yield a module and those inside, with what their names begin with; of a round, one."""
    own = next(module.modules())  # itself, of a proxy what that stands for
    if id(own) in around:
        return
    yield path, own
    for key, part in own._modules.items():
        if part is not None:
            yield from _parts(part, f"{path}{key}.", (*around, id(own)))
