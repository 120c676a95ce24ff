"""Run an object as its self-test does, and compare outputs bit for bit."""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import torch

from wardian.child import ask_fork

__all__ = [
    "Difference",
    "SEED",
    "find_differences",
    "find_differences_in_fork",
    "operator_libraries",
    "operator_schemas",
    "run",
    "tolerance",
]

_PATIENCE = 60.0
"""Seconds after which a call in a copy of the process is given up: what it waits for may be in a thread."""

SEED = 0
"""What random generators of PyTorch, Python and numpy are given before a self-test runs."""


def run(obj: Any, inputs: Any) -> Any:
    """Call *obj* as a self-test does: fixed seed, no gradients, the caller's random state kept.

    Args:
        obj: A callable.
        inputs: A tuple of positional or a dictionary of keyword arguments.
    """
    numpy = sys.modules.get("numpy")
    state, numpy_state = random.getstate(), None if numpy is None else numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(SEED)
            random.seed(SEED)
            if numpy is not None:
                numpy.random.seed(SEED)
            return obj(**inputs) if isinstance(inputs, dict) else obj(*inputs)
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)


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


def find_differences_in_fork(obj: Any, inputs: Any, expected: Any, where: str) -> list[str]:
    """Call *obj* in a copy of this process, and tell what differs by more than another machine may.

    Args:
        obj: A callable. What the call changes is the copy's.
        inputs: As for `run`.
        expected: What the call should give.
        where: What to call it.

    Returns:
        Phrases, as `Difference` has them; none also where the call fails, or the process cannot be copied.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # no forked process can use it
        return []

    def compare() -> str:
        torch.set_num_threads(1)  # threads of OpenMP do not survive a fork
        found = find_differences(run(obj, inputs), expected, where)
        return json.dumps([str(difference) for difference in found if not difference.tolerated])

    differences: list[str] = json.loads(ask_fork(compare, _PATIENCE) or "[]")
    return differences


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
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        # Not list(expected): tensordict yields parts along the batch, not its keys.
        keys, others = list(expected.keys()), list(actual.keys())
        if keys != others:
            yield _other(where, f"has the keys {others}, not {keys}")
            return
        for key in keys:
            yield from _compare(expected[key], actual[key], f"{where}[{key!r}]", above)
        return
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            yield _other(where, f"has {len(actual)} items, not {len(expected)}")
            return
        for i, (e, a) in enumerate(zip(expected, actual, strict=True)):
            yield from _compare(e, a, f"{where}[{i}]", above)
        return
    if type(expected).__qualname__ != type(actual).__qualname__:
        yield _other(where, f"is a {type(actual).__qualname__}, not a {type(expected).__qualname__}")
        return
    if isinstance(expected, type | FunctionType | ModuleType):
        if getattr(expected, "__qualname__", None) != getattr(actual, "__qualname__", None):
            yield _other(where, f"is {actual!r:.60}, not {expected!r:.60}")
        return
    if isinstance(expected, float | complex):
        # As a tensor: the same rules for NaN, for zeros and for what is tolerated.
        yield from _compare_tensors(torch.tensor(expected, dtype=_WIDE[type(expected)]), actual, where)
        return
    state, other = getattr(expected, "__dict__", None), getattr(actual, "__dict__", None)
    if state and other is not None:
        yield from _compare(state, other, where, above)
    elif type(expected).__module__ == "builtins" and expected != actual:
        yield _other(where, f"is {actual!r:.60}, not {expected!r:.60}")


_WIDE = {float: torch.float64, complex: torch.complex128}


def _compare_tensors(expected: torch.Tensor, actual: Any, where: str) -> Iterator[Difference]:
    if isinstance(actual, float | complex):
        actual = torch.tensor(actual, dtype=_WIDE[type(actual)])
    if not isinstance(actual, torch.Tensor):
        yield _other(where, f"is a {type(actual).__qualname__}, not a tensor")
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
            yield _other(where, "differs")
    elif expected.layout != torch.strided:
        yield from _compare_values(expected.to_dense(), actual.to_dense(), where)
    else:
        yield from _compare_values(expected, actual, where)


def _compare_values(expected: torch.Tensor, actual: torch.Tensor, where: str) -> Iterator[Difference]:
    mine, other = (t.detach().cpu().resolve_conj().resolve_neg().contiguous() for t in (expected, actual))
    if bool((_bits(mine) == _bits(other)).all()):
        return
    wide = torch.complex128 if mine.is_complex() else torch.float64
    a, b = mine.to(wide), other.to(wide)
    changed = ~((a == b) & (_signs(a) == _signs(b)).reshape(a.shape) | a.isnan() & b.isnan())
    if not bool(changed.any()):  # NaN of other bits in the same places is the same
        return
    # Infinities that are equal would give NaN.
    apart = torch.where(a == b, 0.0, (a - b).abs().to(torch.float64))
    size = float(apart.nan_to_num(nan=math.inf, posinf=math.inf).max())
    finite = a.abs()[a.isfinite()]
    largest = float(finite.max()) if finite.numel() else 0.0
    yield Difference(
        where,
        f"differs by up to {size:g}, its largest value is {largest:g}",
        size,
        tolerated=size <= tolerance(mine.dtype) * largest,
    )


def _bits(values: torch.Tensor) -> torch.Tensor:
    flat = values.view(-1)
    if flat.stride(0) != 1:  # of one element, whose stride may be anything though it counts as contiguous
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8)


def _signs(values: torch.Tensor) -> torch.Tensor:
    """Tell 0.0 and -0.0 apart."""
    if not values.is_complex():
        return values.signbit()
    return torch.view_as_real(values).signbit().to(torch.uint8).mul(torch.tensor([1, 2])).sum(-1)


def operator_libraries() -> frozenset[str]:
    """Return the shared libraries that `torch.ops.load_library` has loaded in this process."""
    return frozenset(map(str, torch.ops.loaded_libraries))


def operator_schemas() -> frozenset[str]:
    """Return the schemas of the operators that native code has registered in this process."""
    # A name as it was written: with the name of the overload, and with white space where that did no harm.
    from_python = {name.partition(".")[0] for name in torch.library._defs}
    schemas = torch._C._jit_get_all_schemas()
    return frozenset(str(schema) for schema in schemas if schema.name not in from_python)
