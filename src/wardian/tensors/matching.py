"""Which tensors of a module get which values of a case, and all that does not match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wardian.domain.manifest import TensorEntry
from wardian.errors import WeightsMismatchError
from wardian.tensors.comparison import find_differences
from wardian.tensors.overlaps import overlapping
from wardian.tensors.shared_memory import Written, clashes
from wardian.tensors.slots import Slot, plain_paths, slots, without_wrappers
from wardian.tensors.targets import UNINITIALIZED, is_replaced, is_shard, kind_of

if TYPE_CHECKING:
    from wardian.tensors.mapping import TensorMapping

__all__ = ["Compared", "compare"]

_SHOWN = 20
"""Names of one kind that a message lists."""


def _has_values(entry: TensorEntry) -> bool:
    form = entry.form
    return entry.record is not None or (form is not None and (form.type is not None or bool(form.parts)))


def _shape_of(entry: TensorEntry) -> tuple[int, ...] | None:
    """Return the shape of a tensor; None if only its parts tell it."""
    nested = entry.form is not None and entry.form.layout in ("nested", "jagged")
    return None if nested else entry.shape


@dataclass
class Compared:
    """A module and a case, compared tensor by tensor."""

    pairs: list[tuple[Slot, str]] = field(default_factory=list)
    """Places in the module, and the names in the case."""
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Whatever else does not match, as sentences."""
    untied: list[tuple[str, str]] = field(default_factory=list)
    """Parameters that are tied in the case alone."""
    apart: list[str] = field(default_factory=list)
    """Tensors that share memory with others in the case alone."""

    def relate(self, tensors: TensorMapping, assign: bool) -> frozenset[str]:
        """Find what shares memory in the case, and whether it will in the module.

        Returns:
            Names in the case of those that get their memory together.
        """
        pairs = list({id(slot.tensor): (slot, name) for slot, name in reversed(self.pairs)}.values())[::-1]
        together: set[str] = set()
        apart: set[str] = set()
        for numbers in overlapping(tensors.describe(name) for _, name in pairs):
            (one, name), (other, other_name) = (pairs[number] for number in numbers)
            replaced = [is_replaced(slot.tensor, assign) for slot in (one, other)]
            if _shares(one.tensor, other.tensor) and not any(replaced):
                continue
            entry, other_entry = tensors.describe(name), tensors.describe(other_name)
            if all(replaced) and (
                (assign and not is_shard(one.tensor) and not is_shard(other.tensor))
                or (
                    _shares(one.tensor, other.tensor)
                    and _lies_as(one.tensor, entry)
                    and _lies_as(other.tensor, other_entry)
                )
            ):
                together |= {name, other_name}
            elif one.kind == other.kind == "parameter" and _place(entry) == _place(other_entry):
                self.untied.append((one.name, other.name))
            else:
                apart |= {one.name, other.name}
        self.apart = [slot.name for slot, _ in pairs if slot.name in apart]
        return frozenset(together)

    def require(self, label: str, kind: str, *, strict: bool) -> None:
        """Refuse what does not match.

        Raises:
            WeightsMismatchError: with all of it.
        """
        lines = list(self.wrong)
        if strict and self.unexpected:
            lines.insert(0, f"Unexpected key(s) in the case: {_listed(self.unexpected)}.")
        if strict and self.missing:
            lines.insert(0, f"Missing key(s) in the case: {_listed(self.missing)}.")
        if lines:
            raise WeightsMismatchError(
                "\n\t".join([f"Error(s) in filling {kind} from {label}:", *lines])
                + "".join(f"\nfix: {fix}" for fix in self._fixes(label)),
                path=label,
                missing=tuple(self.missing),
                unexpected=tuple(self.unexpected),
                mismatched=tuple(self.wrong),
            )

    def doubts(self, label: str) -> Iterator[str]:
        """Yield what one would not expect of a module that is filled."""
        if self.kept:
            yield (
                f"{label} has no values for buffers that are in no state_dict either, {_listed(self.kept)}:"
                " they stay as they are, which is well where the model has set them, and is not after"
                " to_empty()"
            )
        for one, other in self.untied:
            yield (
                f"{one} and {other} are one tensor in {label} and two in the model: they get the same values,"
                ' and are not tied. to_empty() and to("meta") untie tensors; tie them again:'
                f" model.{other} = model.{one}"
            )
        if self.apart:
            yield (
                f"{_listed(self.apart)} are parts of one memory in {label}, and not in the model: they get"
                " the same values, and later changes of one are not seen in the others"
            )

    def _fixes(self, label: str) -> Iterator[str]:
        inside = _beginning(self.missing, self.unexpected)
        around = _beginning(self.unexpected, self.missing)
        if around:  # the case has a part of the module
            yield f"fill the part that the case has: wardian.load_into(model.{around}, {label!r})"
        elif inside and "." not in inside:
            rest = "" if len(self.unexpected) == len(self.missing) else ", strict=False"
            yield (
                f"what the case holds has this as its part {inside!r}:"
                f" wardian.load_into(torch.nn.ModuleDict({{{inside!r}: model}}), {label!r}{rest})"
            )
        elif self.missing or self.unexpected:
            yield "strict=False fills what has the same name, and returns the other names"
        yield f'the structure that fits is in the case: wardian.load({label!r}, map_location="meta")'


def _beginning(names: list[str], longer: list[str]) -> str | None:
    """Return what all of *longer* begin with that are *names* otherwise; None if they are not."""
    if not names or not longer:
        return None
    for name in longer:
        beginning = name.removesuffix(f".{names[0]}")
        if beginning != name and {f"{beginning}.{name}" for name in names} <= set(longer):
            return beginning
    return None


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(f'"{name}"' for name in names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def compare(module: nn.Module, tensors: TensorMapping, assign: bool) -> Compared:
    """Find for each place of a module what a case has for it; nothing is changed.

    Args:
        module: The module.
        tensors: The tensors of one entry point.
        assign: Whether they will take the places of the module's.
    """
    # First, for its hooks put shards back in their places.
    state = list(module.state_dict(keep_vars=True))
    places = list(slots(module))
    held = _names_in(tensors, places)
    found = Compared()
    filled = {id(slot.tensor) for slot in places if slot.name in held}
    fitting: list[tuple[Slot, str]] = []
    for slot in places:
        if slot.name not in held:
            if id(slot.tensor) in filled:
                continue  # tied to one that has a value
            lost = slot.kind != "transient" or slot.tensor.is_meta
            (found.missing if lost else found.kept).append(slot.name)
            continue
        name = held[slot.name]
        wrong = list(_what_is_wrong(slot, name, tensors, assign))
        found.wrong += wrong
        found.pairs.append((slot, name))
        if not wrong:
            fitting.append((slot, name))
    paths = plain_paths(module)
    known = {name for slot in places for name in (slot.name, slot.full_name)}
    others = [name for name in (_plain(name, paths) for name in state) if name not in known]
    found.missing += others
    used = {*held.values(), *others}
    found.unexpected += [
        name
        for name in tensors
        if name not in used
        and _has_values(tensors.describe(name))
        and tensors.describe(name).kind != "transient"
    ]
    found.wrong += _tied_only_here(found.pairs, tensors)
    found.wrong += _overwritten(fitting, tensors, assign)
    found.untied += _tied_only_there(found.pairs, tensors)
    return found


def _plain(name: str, paths: dict[str, str]) -> str:
    """Return a name of a state_dict without wrappers."""
    path, _, key = name.rpartition(".")
    plain = paths.get(path, path)
    return f"{plain}.{key}" if plain else key


def _names_in(tensors: TensorMapping, places: list[Slot]) -> dict[str, str]:
    """Return the names of places → the name in the case of what has a value for it."""
    left = {name for name in tensors if _has_values(tensors.describe(name))}
    found: dict[str, str] = {}
    for slot in places:
        known = next((name for name in (slot.name, slot.full_name) if name in left), None)
        if known is not None:
            found[slot.name] = known
    left.difference_update(found.values())
    wrapped = {without_wrappers(name): name for name in tensors if name in left}
    for slot in places:
        if slot.name not in found and slot.name in wrapped:
            found[slot.name] = wrapped[slot.name]
    return found


def _what_is_wrong(slot: Slot, name: str, tensors: TensorMapping, assign: bool) -> Iterator[str]:
    """Yield what keeps a tensor from getting its value, as sentences."""
    entry, old = tensors.describe(name), slot.tensor
    there, here = _kind_in_case(entry), kind_of(old)
    shape = None if isinstance(old, UNINITIALIZED) else _shape_of(entry)  # those get it from the case
    if there is None:
        return  # only code can make it, which is told for all of those
    if there != here and not (assign and not is_shard(old)):
        yield f"{slot.name} is {there} in the case, and {here} in the model{_ASSIGN}."
    elif shape is not None and here not in _NESTED and shape != tuple(old.shape):
        yield (f"size mismatch for {slot.name}: the case has {torch.Size(shape)}, the model {old.shape}.")
    elif any(placement.is_partial() for placement in getattr(old, "placements", ())):
        yield f"{slot.name} is a DTensor with a partial placement, which has no one value."
    elif not assign and here == "strided" and not _casts(getattr(torch, entry.dtype), old.data.dtype):
        yield (
            f"{slot.name} is {entry.dtype} in the case, which PyTorch does not convert to {old.data.dtype}"
            f"{_ASSIGN}."
        )
    elif is_replaced(old, assign):
        if assign and old.requires_grad and not _has_gradients(entry):
            yield (
                f"{slot.name} is a parameter that requires a gradient, and the case has {entry.dtype}, which"
                f" has no gradient: model.{slot.full_name}.requires_grad_(False)."
            )
    elif old.is_inference() and not torch.is_inference_mode_enabled():
        yield (
            f"{slot.name} was made in inference mode, and can be changed only there: call this inside"
            f" torch.inference_mode(){_ASSIGN}."
        )
    elif here != "strided" or (torch.overrides.has_torch_function((old,)) and not is_shard(old)):
        yield from _tried(slot, tensors[name])


_ASSIGN = "; assign=True lets what the case has take its place"


def _tried(slot: Slot, value: torch.Tensor) -> Iterator[str]:
    """Yield why a tensor cannot take a value: each layout has rules of its own."""
    try:
        with torch.no_grad():
            slot.tensor.detach().clone().copy_(value)
    except Exception as error:  # noqa: BLE001 - a class of its own may raise anything
        yield f"{slot.name} cannot take what the case has: {error}{_ASSIGN}."


_NESTED = ("nested", "jagged")
"""Kinds of tensors whose shape their parts tell."""


def _kind_in_case(entry: TensorEntry) -> str | None:
    """Return the layout of a tensor, or that it is quantised; None if only code knows."""
    form = entry.form
    if form is None:
        return "strided"
    if form.type is not None:
        return None
    return form.layout if form.qscheme is None else "quantised"


@cache
def _casts(there: torch.dtype, here: torch.dtype) -> bool:
    """Tell whether values can be copied to another dtype: those of few bits and of none cannot."""
    if there == here or there.is_complex:  # of complex ones PyTorch warns, and that once
        return True
    try:
        torch.empty(1, dtype=here, device="cpu").copy_(torch.empty(1, dtype=there, device="cpu"))
    except RuntimeError:
        return False
    return True


def _has_gradients(entry: TensorEntry) -> bool:
    dtype: torch.dtype = getattr(torch, entry.dtype)
    return dtype.is_floating_point or dtype.is_complex


def _tied_only_there(pairs: list[tuple[Slot, str]], tensors: TensorMapping) -> Iterator[tuple[str, str]]:
    """Yield the names of parameters that are one in the case and made of parts, and two in the module."""
    first: dict[tuple[Any, ...], Slot] = {}
    for slot, name in pairs:
        entry = tensors.describe(name)
        if slot.kind == "parameter" and entry.record is None:
            other = first.setdefault(_place(entry), slot)
            if other.tensor is not slot.tensor:
                yield other.name, slot.name


def _tied_only_here(pairs: list[tuple[Slot, str]], tensors: TensorMapping) -> Iterator[str]:
    """Yield what is wrong with tensors that are one in the module, and different ones in the case."""
    first: dict[int, tuple[Slot, str]] = {}
    for slot, name in pairs:
        other, other_name = first.setdefault(id(slot.tensor), (slot, name))
        entry, other_entry = tensors.describe(name), tensors.describe(other_name)
        if _place(entry) == _place(other_entry) or None in map(_kind_in_case, (entry, other_entry)):
            continue
        if _shape_of(entry) == _shape_of(other_entry) and find_differences(
            tensors[other_name], tensors[name]
        ):
            yield f"{other.name} and {slot.name} are one tensor in the model, and differ in the case."


def _overwritten(pairs: list[tuple[Slot, str]], tensors: TensorMapping, assign: bool) -> Iterator[str]:
    """Yield what is wrong with tensors that share memory in the module, and cannot in the case."""
    written: dict[int, Written] = {}
    for slot, name in pairs:
        entry = tensors.describe(name)
        if not is_replaced(slot.tensor, assign) and _kind_in_case(entry) and _has_memory(slot.tensor):
            written.setdefault(id(slot.tensor), Written(slot.name, slot.tensor.detach(), entry, name))
    for names in clashes(written.values(), tensors):
        what = f"{_listed(names)} share memory" if len(names) > 1 else f"elements of {names[0]} share memory"
        yield f"{what} in the model, and differ in the case{_ASSIGN}."


def _place(entry: TensorEntry) -> tuple[Any, ...]:
    # A form has no hash, for its parts are a mapping.
    form = None if entry.form is None else repr(entry.form)
    return entry.record, entry.offset, entry.shape, entry.stride, entry.dtype, form


def _shares(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two tensors are in one storage."""
    if not (_has_storage(one) and _has_storage(other)):
        return False
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)


def _has_storage(tensor: torch.Tensor) -> bool:
    return not isinstance(tensor, UNINITIALIZED) and kind_of(tensor) == "strided" and not is_shard(tensor)


def _has_memory(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has an address; those that are faked have a storage without one."""
    return _has_storage(tensor) and tensor.untyped_storage().device.type != "meta"


def _lies_as(tensor: torch.Tensor, entry: TensorEntry) -> bool:
    """Tell whether a tensor is on the meta device, and lies in its storage as that of the case does."""
    lies = str(tensor.dtype).removeprefix("torch."), tensor.storage_offset(), tensor.stride()
    return tensor.is_meta and lies == (entry.dtype, entry.offset, entry.stride)
