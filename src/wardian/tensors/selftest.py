"""Run an object as its self-test does, and compare outputs bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import torch

__all__ = ["SEED", "find_difference", "operator_libraries", "operator_schemas", "run"]

SEED = 0
"""What `torch.manual_seed` is given before a self-test runs."""


def run(obj: Any, inputs: Any) -> Any:
    """Call *obj* as a self-test does: fixed seed, no gradients, the caller's random state kept.

    Args:
        obj: A callable.
        inputs: A tuple of positional or a dictionary of keyword arguments.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        return obj(**inputs) if isinstance(inputs, dict) else obj(*inputs)


def find_difference(expected: Any, actual: Any, where: str = "output") -> str | None:
    """Compare two outputs bit for bit.

    Args:
        expected: Tensors, containers of them, objects with attributes.
        actual: The other output; classes are compared by qualified name.
        where: What to call them.

    Returns:
        None if they are equal, else the place and kind of the first difference.
    """
    return _compare(expected, actual, where, set())


def _compare(expected: Any, actual: Any, where: str, above: set[int]) -> str | None:
    if isinstance(expected, torch.Tensor):
        return _tensor_difference(expected, actual, where)
    if id(expected) in above:  # a cycle; what is above is alive, so its id is its own
        return None
    above = above | {id(expected)}
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        if list(expected) != list(actual):
            return f"{where} has the keys {list(actual)}, not {list(expected)}"
        return _first(_compare(expected[key], actual[key], f"{where}[{key!r}]", above) for key in expected)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            return f"{where} has {len(actual)} items, not {len(expected)}"
        pairs = enumerate(zip(expected, actual, strict=True))
        return _first(_compare(e, a, f"{where}[{i}]", above) for i, (e, a) in pairs)
    if type(expected).__qualname__ != type(actual).__qualname__:
        return f"{where} is a {type(actual).__qualname__}, not a {type(expected).__qualname__}"
    if isinstance(expected, type | FunctionType | ModuleType):
        same = getattr(expected, "__qualname__", None) == getattr(actual, "__qualname__", None)
        return None if same else f"{where} is {actual!r:.60}, not {expected!r:.60}"
    state, other = getattr(expected, "__dict__", None), getattr(actual, "__dict__", None)
    if state and other is not None:
        return _compare(state, other, where, above)
    if type(expected).__module__ == "builtins" and expected != actual and not _is_nan(expected):
        return f"{where} is {actual!r:.60}, not {expected!r:.60}"
    return None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _first(found: Iterator[str | None]) -> str | None:
    return next((item for item in found if item is not None), None)


def _tensor_difference(expected: torch.Tensor, actual: Any, where: str) -> str | None:
    if not isinstance(actual, torch.Tensor):
        return f"{where} is a {type(actual).__qualname__}, not a tensor"
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        return f"{where} is {actual.dtype}{list(actual.shape)}, not {expected.dtype}{list(expected.shape)}"
    if expected.layout != actual.layout:
        return f"{where} is {actual.layout}, not {expected.layout}"
    if expected.is_meta or actual.is_meta:
        return None if expected.is_meta and actual.is_meta else f"{where} has no values on one side"
    if expected.is_quantized:
        return None if torch.equal(expected, actual) else f"{where} differs"
    if expected.layout != torch.strided:
        expected, actual = expected.to_dense(), actual.to_dense()
    mine, other = (t.detach().cpu().resolve_conj().resolve_neg().contiguous() for t in (expected, actual))
    same = mine.view(-1).view(torch.uint8) == other.view(-1).view(torch.uint8)
    if bool(same.all()):
        return None
    wide = torch.complex128 if mine.is_complex() else torch.float64
    a, b = mine.to(wide), other.to(wide)
    changed = ~((a == b) & (_signs(a) == _signs(b)).reshape(a.shape) | a.isnan() & b.isnan())
    if not bool(changed.any()):  # NaN of other bits in the same places is the same
        return None
    return f"{where} differs by up to {float((a - b).abs().max()):g}"


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
    from_python = torch.library._defs
    schemas = torch._C._jit_get_all_schemas()
    return frozenset(str(schema) for schema in schemas if schema.name not in from_python)
