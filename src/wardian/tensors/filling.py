"""A module filled with tensors of a case: plain ones, shards, tied ones, and buffers that no state_dict has.

First everything is compared and nothing read (`wardian.tensors.matching`); then what is wrong is told, all of
it; then the module is filled.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

from wardian.domain.names import top_level
from wardian.errors import WardianWarning
from wardian.tensors.matching import compare
from wardian.tensors.slots import Slot
from wardian.tensors.storages import device_by, is_meta
from wardian.tensors.targets import is_replaced, is_shard, local_part
from wardian.wording import with_article

if TYPE_CHECKING:
    from wardian.tensors.mapping import TensorMapping

__all__ = ["fill"]


def fill(
    module: nn.Module,
    tensors: TensorMapping,
    *,
    label: str,
    strict: bool = True,
    assign: bool = False,
    map_location: Any = None,
) -> _IncompatibleKeys:
    """Give the parameters and buffers of a module the values that a case has for their names.

    Args:
        module: Any module. Of its `DTensor`s this rank's part is read.
        tensors: The tensors of one entry point, on the CPU.
        label: What to call the case.
        strict: Refuse names that only one of the two has.
        assign: Let the tensors of the case take the place of the module's.
        map_location: Where tensors go that are on the meta device, or take the place of others.

    Returns:
        The names that only one of the two has.

    Raises:
        TypeError: if *module* cannot be filled at all.
        ValueError: if *map_location* is the meta device.
        WeightsMismatchError: with everything that does not match.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"only a torch.nn.Module can be filled, and this is {with_article(type(module).__name__)}"
        )
    if is_meta(map_location):
        raise ValueError("nothing can be filled on the meta device: map_location must be another")
    _require_names(module)
    try:
        found = compare(module, tensors, assign)
    except RecursionError as error:
        raise TypeError(
            f"this {type(module).__name__} is part of itself, so that PyTorch has no end of names for its"
            " tensors: let it have itself as no part, as by self.__dict__['parent'] = parent"
        ) from error
    found.require(label, type(module).__name__, strict=strict)
    shards = {name for slot, name in found.pairs if is_shard(slot.tensor)}
    tensors.fetch({name for _, name in found.pairs} - shards)
    tensors.check([name for _, name in found.pairs])
    for _, name in found.pairs:  # what cannot be made is told before anything is changed
        tensors[name]
    together = found.relate(tensors, assign)
    for doubt in found.doubts(label):
        warnings.warn(doubt, WardianWarning, stacklevel=_levels_to_the_caller())
    filling = _Filling(tensors, assign, map_location, together)
    with torch.no_grad():
        for slot, name in found.pairs:
            filling.fill(slot, name)
    filling.tell_owners()
    return _IncompatibleKeys(found.missing, found.unexpected)


def _levels_to_the_caller() -> int:
    """Return what `stacklevel` is to be for a warning about what the user called."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and top_level(frame.f_globals.get("__name__", "")) == "wardian":
        frame, levels = frame.f_back, levels + 1
    return levels


def _require_names(module: nn.Module) -> None:
    """Refuse a module whose parameters have other names than those of what it wraps.

    Raises:
        TypeError: if it is one.
    """
    if any(type(part).__name__ == "FullyShardedDataParallel" for part in module.modules()):
        raise TypeError(
            "FullyShardedDataParallel keeps parameters in flat ones, which have no names in a case: fill the"
            " module before it is wrapped, or shard it by torch.distributed.fsdp.fully_shard"
        )


class _Filling:
    """Fills places, those of one tensor once.

    Args:
        tensors: As for `fill`.
        assign: As for `fill`.
        map_location: As for `fill`.
        together: Names in the case of those that share their memory with others.
    """

    def __init__(
        self, tensors: TensorMapping, assign: bool, map_location: Any, together: frozenset[str]
    ) -> None:
        self._tensors = tensors
        self._assign = assign
        self._chosen = None if map_location is None else device_by(map_location)("cpu")
        self._made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """By the address of the old tensor, which is held: the old and the new one."""
        self._together = together
        self._shared: dict[tuple[int, torch.device], torch.Tensor] = {}
        """By the address of a storage of the case, which that holds, and a device: its bytes there."""
        self._told: dict[int, nn.Module] = {}

    def fill(self, slot: Slot, name: str) -> None:
        """Give a place what the case has by this name, of which shards take their part."""
        old = slot.tensor
        if id(old) in self._made:
            self._put(slot, self._made[id(old)][1])
            return
        new = old
        if is_replaced(old, self._assign):
            new = self._replaced(old, name)
            self._told[id(slot.owner)] = slot.owner
        elif is_shard(old):
            local = local_part(old)
            if local.numel():
                local.copy_(self._tensors.part(name, _region(old)))
        else:
            old.copy_(self._tensors[name])
        self._made[id(old)] = old, new
        self._put(slot, new)

    def tell_owners(self) -> None:
        """Call what modules want to have called when their tensors are others, as `load_state_dict` does."""
        for owner in self._told.values():
            for hook in owner._load_state_dict_post_hooks.values():
                hook(owner, _IncompatibleKeys([], []))

    def _put(self, slot: Slot, tensor: torch.Tensor) -> None:
        if slot.tensor is not tensor:
            (slot.owner._parameters if slot.kind == "parameter" else slot.owner._buffers)[slot.key] = tensor  # type: ignore[assignment]

    def _replaced(self, old: torch.Tensor, name: str) -> torch.Tensor:
        if is_shard(old):
            new = _shard_like(old, self._own(old, self._part(old, name)).contiguous())
        else:
            value = self._tensors[name]
            new = self._seen(old, value) if name in self._together else self._own(old, value)
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, requires_grad=old.requires_grad)
        return new

    def _part(self, old: torch.Tensor, name: str) -> torch.Tensor:
        shape = local_part(old).shape
        if not shape.numel():
            return self._tensors[name].flatten()[:0].view(shape)
        return self._tensors[name][_region(old)] if self._assign else self._tensors.part(name, _region(old))

    def _own(self, old: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Return a value for the place of *old*: that of the case, or a copy in memory of its own."""
        device = self._device(old)
        return value.to(device) if self._assign else value.to(device, old.data.dtype, copy=True)

    def _seen(self, old: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Return the same, in memory that it shares with others as in the case."""
        held, device = value.untyped_storage(), self._device(old)
        whole = torch.empty(0, dtype=torch.uint8, device=held.device).set_(held)
        memory = self._shared.setdefault(
            (held._cdata, device), whole.to(device, copy=not self._assign)
        ).untyped_storage()
        seen = torch.empty(0, dtype=value.dtype, device=device)
        return seen.set_(memory, value.storage_offset(), value.shape, value.stride())

    def _device(self, old: torch.Tensor) -> torch.device:
        if not self._assign and not old.is_meta:
            return old.device
        if self._chosen is not None:
            return self._chosen
        if not is_shard(old):
            return torch.device("cpu")
        local = local_part(old)
        kind: str = old.device_mesh.device_type  # type: ignore[attr-defined]
        return torch.device(kind) if local.is_meta else local.device


def _region(tensor: Any) -> tuple[slice, ...]:
    """Return which part of the whole tensor this rank has."""
    (chunk,) = tensor.__create_chunk_list__()
    return tuple(slice(at, at + size) for at, size in zip(chunk.offsets, chunk.sizes, strict=True))


def _shard_like(old: Any, local: torch.Tensor) -> torch.Tensor:
    made: torch.Tensor = type(old).from_local(
        local, old.device_mesh, old.placements, run_check=False, shape=old.shape, stride=old.stride()
    )
    return made
