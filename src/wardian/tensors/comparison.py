"""Where two results differ, bit for bit or within a tolerance."""

from __future__ import annotations

import math
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType, NoneType
from typing import Any

import torch

from wardian.domain.names import top_level
from wardian.wording import with_article

__all__ = ["Difference", "container_kind", "find_differences", "tolerance"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two outputs differ."""

    where: str
    """The place: `output[0]['logits']`."""
    what: str
    """The difference as a phrase that follows the place."""
    size: float | None
    """Largest absolute difference of two numbers; None if something else differs, such as a shape."""
    tolerated: bool
    """Whether another machine may differ as much: see `tolerance`."""

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def tolerance(dtype: torch.dtype) -> float:
    """Return how far values of *dtype* may lie apart on another machine, relative to the largest of a tensor.

    It is the square root of the dtype's machine epsilon: 1.5e-8 for float64, 3.5e-4 for float32, 3.1e-2 for
    float16, 8.8e-2 for bfloat16. Other kernels sum in another order, and errors of many layers add up, so
    half of the digits are left to them; wrong weights or wrong code differ in all. Whole numbers must be
    equal.

    >>> round(tolerance(torch.float32), 5)
    0.00035
    """
    return math.sqrt(torch.finfo(dtype).eps) if dtype.is_floating_point or dtype.is_complex else 0.0


def find_differences(expected: Any, actual: Any, where: str = "output") -> list[Difference]:
    """Compare two outputs bit for bit.

    Args:
        expected: Tensors, containers of them, objects with attributes.
        actual: The other output; classes are compared by qualified name.
        where: What to call them.

    Returns:
        One for each place that differs; empty if they are equal.
    """
    return list(_compare(expected, actual, where, set()))


def _other(where: str, what: str) -> Difference:
    return Difference(where, what, None, tolerated=False)


def _compare(expected: Any, actual: Any, where: str, above: set[int]) -> Iterator[Difference]:
    if isinstance(expected, torch.Tensor):
        yield from _compare_tensors(expected, actual, where)
    elif id(expected) in above:  # a cycle; what is above is alive, so its id is its own
        return
    else:
        yield from _compare_objects(expected, actual, where, above | {id(expected)})


def _compare_objects(expected: Any, actual: Any, where: str, above: set[int]) -> Iterator[Difference]:
    if type(expected) in _CONTAINERS and type(actual) in _CONTAINERS and type(expected) is not type(actual):
        yield _other(
            where,
            f"is {with_article(type(actual).__qualname__)}, not {with_article(type(expected).__qualname__)}",
        )
        return
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        # Not list(expected): tensordict yields parts along the batch, not its keys.
        keys, others = list(expected.keys()), list(actual.keys())
        if keys != others:
            yield _other(where, f"has the keys {others}, not {keys}")
            return
        for key in keys:
            yield from _compare(expected[key], actual[key], f"{where}[{key!r}]", above)
        return
    if isinstance(expected, _SEQUENCES) and isinstance(actual, _SEQUENCES):
        parts, others = _parts(expected), _parts(actual)
        if len(parts) != len(others):
            yield _other(where, f"has {len(others)} items, not {len(parts)}")
        elif len(parts) > 1 and {*map(type, parts), *map(type, others)} == {float}:
            # The numbers of `tensor.tolist()` are as precise as the largest of them lets them be.
            yield from _compare_numbers(parts, others, where)
        else:
            for i, (e, a) in enumerate(zip(parts, others, strict=True)):
                yield from _compare(e, a, f"{where}[{i}]", above)
        return
    if type(expected).__qualname__ != type(actual).__qualname__:
        yield _other(
            where,
            f"is {with_article(type(actual).__qualname__)}, not {with_article(type(expected).__qualname__)}",
        )
    elif isinstance(expected, type | FunctionType | BuiltinFunctionType | ModuleType):
        if getattr(expected, "__qualname__", None) != getattr(actual, "__qualname__", None):
            yield _other(where, f"is {actual!r:.60}, not {expected!r:.60}")
    elif isinstance(expected, float):
        yield from _compare_numbers(expected, actual, where)
    elif isinstance(expected, complex):
        yield from _compare_tensors(
            torch.tensor(expected, dtype=torch.complex128, device="cpu"), actual, where
        )
    elif isinstance(expected, Enum):
        if expected.name != actual.name:
            yield _other(where, f"is {actual}, not {expected}")
    elif hasattr(expected, "__array_interface__") and (numpy := sys.modules.get("numpy")) is not None:
        # Of numpy, and of what shows its values as numpy does, such as images.
        yield from _compare_arrays(numpy.asarray(expected), numpy.asarray(actual), where, above)
    elif isinstance(expected, _VALUES) and expected != actual:
        if not (
            isinstance(expected, AbstractSet) and _has_identities(expected) and len(expected) == len(actual)
        ):
            yield _other(where, _unlike(expected, actual))
    else:
        yield from _compare_states(expected, actual, where, above)


_SEQUENCES: tuple[Any, ...] = (list, tuple, deque)
_CONTAINERS = (dict, *_SEQUENCES)


def container_kind(value: Any) -> Any:
    """Return the built-in container that a value is, or is derived from; None if it is none.

    It is asked in place of the derived class, which may refuse `len`, as `Irreps` of e3nn does.

    >>> from collections import OrderedDict
    >>> container_kind(OrderedDict())
    <class 'dict'>
    """
    return next((kind for kind in _KINDS if isinstance(value, kind)), None)


_KINDS: tuple[Any, ...] = (list, tuple, deque, dict, set, frozenset)


def _parts(sequence: Any) -> list[Any]:
    return list(container_kind(sequence).__iter__(sequence))


_VALUES = (NoneType, bool, int, str, bytes, bytearray, range, slice, set, frozenset)


def _has_identities(values: AbstractSet[Any]) -> bool:
    """Tell whether something in a set equals only itself, so that a copy of the set is another one."""
    own = (object.__hash__, torch.Tensor.__hash__)
    found = (value for value in values if type(value).__hash__ in own)  # type: ignore[comparison-overlap]
    return any(not isinstance(value, _ONLY_ONES) for value in found)


_ONLY_ONES = (torch.dtype, torch.layout, torch.memory_format, BuiltinFunctionType, FunctionType)


def _unlike(expected: Any, actual: Any) -> str:
    if isinstance(expected, str | bytes) and len(expected) > 40:
        pairs = enumerate(zip(expected, actual, strict=False))
        at = next((i for i, (e, a) in pairs if e != a), min(len(expected), len(actual)))
        return f"is {actual[at : at + 30]!r}, not {expected[at : at + 30]!r}, from its place {at} on"
    return f"is {actual!r:.60}, not {expected!r:.60}"


def _compare_states(expected: Any, actual: Any, where: str, above: set[int]) -> Iterator[Difference]:
    """Compare objects by their attributes; those without by `==`; those that know none by how they pickle."""
    state, other = _state_of(expected), _state_of(actual)
    # Classes of the standard library keep in attributes what they have computed, as a path its text.
    from_stdlib = top_level(type(expected).__module__) in sys.stdlib_module_names
    if (state or other) and not (from_stdlib and _are_equal(expected, actual)):
        if not from_stdlib or hasattr(expected, "__dict__"):
            yield from _compare(state, other, where, above)
        else:
            yield _other(where, _unlike(expected, actual))
    elif state or other:
        return
    elif isinstance(expected, MethodType):  # equal are only those of one object
        yield from _compare(expected.__func__, actual.__func__, where, above)
        yield from _compare(expected.__self__, actual.__self__, f"{where}.__self__", above)
    elif type(expected).__eq__ is not object.__eq__:  # type: ignore[comparison-overlap]
        if _are_equal(expected, actual) is False:
            yield _other(where, _unlike(expected, actual))
    else:
        yield from _compare(_reduced(expected), _reduced(actual), f"{where}.__reduce_ex__(4)", above)


def _are_equal(expected: Any, actual: Any) -> bool | None:
    """Return what `==` says; None if it says nothing."""
    try:
        return bool(expected == actual)
    except Exception:  # noqa: BLE001  whatever a class raises
        return None


def _reduced(obj: Any) -> Any:
    """Return what makes an object another one of its class when it is pickled, None if it cannot be."""
    try:
        found = obj.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  whatever a class raises
        return None
    return found if isinstance(found, str) else list(found[1:3])


def _state_of(obj: Any) -> dict[str, Any]:
    slots = (name for cls in type(obj).__mro__ for name in _slots_of(cls) if hasattr(obj, name))
    state = {**{name: getattr(obj, name) for name in slots}, **getattr(obj, "__dict__", {})}
    if isinstance(obj, torch.nn.Module):  # whose hooks are made anew, under other numbers, when it is loaded
        return {name: value for name, value in state.items() if not _HOOKS.search(name)}
    return state


_HOOKS = re.compile(r"^_\w+_hooks(_with_kwargs|_always_called)?$")


def _slots_of(cls: type) -> Iterator[str]:
    members = vars(cls).items() if "__slots__" in vars(cls) else ()
    return (name for name, value in members if isinstance(value, MemberDescriptorType))


def _compare_arrays(expected: Any, actual: Any, where: str, above: set[int]) -> Iterator[Difference]:
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        mine, other = (f"{array.dtype}{list(array.shape)}" for array in (expected, actual))
        yield _other(where, f"is {other}, not {mine}")
        return
    try:
        # A copy: some arrays cannot be written to.
        tensors = [torch.from_numpy(array.copy(order="C")) for array in (expected, actual)]
    except TypeError:  # of text, dates, objects: what they hold is compared
        yield from _compare(expected.tolist(), actual.tolist(), where, above)
    else:
        yield from _compare_tensors(tensors[0], tensors[1], where)


def _compare_numbers(expected: Any, actual: Any, where: str) -> Iterator[Difference]:
    if type(expected) is type(actual) and isinstance(expected, int | float) and expected == actual != 0:
        return
    # As tensors: the same rules for NaN, for zeros and for what is tolerated. Numbers that float32 can hold
    # are those of a tensor, most likely.
    mine, other = (torch.tensor(value, dtype=torch.float64, device="cpu") for value in (expected, actual))
    narrow = mine.to(torch.float32).to(torch.float64)
    fits = bool(((narrow == mine) | mine.isnan()).all())
    yield from _compare_values(mine, other, where, tolerance(torch.float32 if fits else torch.float64))


def _compare_tensors(expected: torch.Tensor, actual: Any, where: str) -> Iterator[Difference]:
    if isinstance(actual, float | complex):
        actual = torch.tensor(actual, dtype=_WIDE[type(actual)], device="cpu")
    if not isinstance(actual, torch.Tensor):
        yield _other(where, f"is {with_article(type(actual).__qualname__)}, not a tensor")
    elif expected.is_nested and actual.is_nested:  # their shapes are symbols, or none
        yield from _compare(list(expected.unbind()), list(actual.unbind()), where, set())
    elif expected.is_nested or actual.is_nested:
        yield _other(where, f"is {'a' if actual.is_nested else 'no'} nested tensor")
    elif (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        mine, other = (f"{t.dtype}{list(t.shape)}" for t in (expected, actual))
        yield _other(where, f"is {other}, not {mine}")
    elif expected.layout != actual.layout:
        yield _other(where, f"is {actual.layout}, not {expected.layout}")
    elif expected.is_meta or actual.is_meta:
        if not (expected.is_meta and actual.is_meta):
            yield _other(where, "has no values on one side")
    elif expected.is_quantized:
        if not torch.equal(expected, actual):
            # Rounding may go the other way elsewhere: one step.
            step = _step_of(expected) * 1.01
            yield from _compare_values(expected.dequantize(), actual.dequantize(), where, step, absolute=True)
    elif expected.layout != torch.strided:
        yield from _compare_values(expected.to_dense(), actual.to_dense(), where)
    else:
        yield from _compare_values(expected, actual, where)


_WIDE = {float: torch.float64, complex: torch.complex128}


def _step_of(quantized: torch.Tensor) -> float:
    if quantized.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return quantized.q_scale()
    return float(quantized.q_per_channel_scales().max())


def _compare_values(
    expected: torch.Tensor,
    actual: torch.Tensor,
    where: str,
    tolerated: float | None = None,
    *,
    absolute: bool = False,
) -> Iterator[Difference]:
    """Compare values.

    Args:
        expected: A dense tensor.
        actual: Another one of the same shape and dtype.
        where: What to call it.
        tolerated: What another machine may differ by, if not by `tolerance`.
        absolute: Whether that is no part of the largest value, but a number of its own.
    """
    mine, other = (t.detach().cpu().resolve_conj().resolve_neg().contiguous() for t in (expected, actual))
    if _have_same_bits(mine, other):
        return
    wide = torch.complex128 if mine.is_complex() else torch.float64
    try:
        a, b = mine.to(wide), other.to(wide)
    except (NotImplementedError, RuntimeError):  # of numbers of four bits there are only the bytes
        yield _other(where, f"differs ({mine.dtype})")
        return
    exact = not mine.dtype.is_floating_point and not mine.is_complex()
    changed = ~((a == b) & (_signs(a) == _signs(b)).reshape(a.shape) | a.isnan() & b.isnan())
    if not exact and not bool(changed.any()):  # NaN of other bits in the same places is the same
        return
    # Infinities that are equal would give NaN.
    apart = torch.where(a == b, 0.0, (a - b).abs().to(torch.float64))
    size = float(apart.nan_to_num(nan=math.inf, posinf=math.inf).max())
    if exact:  # float64 does not tell large neighbours apart
        size = max(size, 1.0)
    finite = a.abs()[a.isfinite()]
    largest = float(finite.max()) if finite.numel() else 0.0
    limit = tolerance(mine.dtype) if tolerated is None else tolerated
    yield Difference(
        where,
        f"differs by up to {size:g}, its largest value is {largest:g}",
        size,
        tolerated=size <= limit * (1.0 if absolute else largest),
    )


def _have_same_bits(mine: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two contiguous tensors of one size have the same bytes: eight at once where they fit."""
    flat = [_flat(mine), _flat(other)]
    wide = all(
        values.nbytes % 8 == 0 and values.storage_offset() * values.element_size() % 8 == 0 for values in flat
    )
    mine, other = (values.view(torch.int64 if wide else torch.uint8) for values in flat)
    return torch.equal(mine, other)


def _flat(values: torch.Tensor) -> torch.Tensor:
    flat = values.view(-1)
    if flat.stride(0) != 1:  # of one element, whose stride may be anything though it counts as contiguous
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat


def _signs(values: torch.Tensor) -> torch.Tensor:
    """Tell 0.0 and -0.0 apart."""
    if not values.is_complex():
        return values.signbit()
    return (
        torch.view_as_real(values).signbit().to(torch.uint8).mul(torch.tensor([1, 2], device="cpu")).sum(-1)
    )
