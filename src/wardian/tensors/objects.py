"""Kinds of objects to PyTorch: weights without a model, something compiled, a model in training mode."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from wardian.environment.modules import variables_of

__all__ = ["find_compiled_modules", "find_training", "is_state_dict"]


def is_state_dict(obj: Any) -> bool:
    """Tell whether *obj* is what `state_dict` returns, or looks like it: tensors by names of parameters.

    >>> is_state_dict(torch.nn.Linear(1, 1).state_dict()), is_state_dict({"x": torch.ones(1)})
    (True, False)
    """
    if not isinstance(obj, dict) or not obj:
        return False
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in obj.items()):
        return False
    return hasattr(obj, "_metadata") or any(key.endswith((".weight", ".bias")) for key in obj)


def find_compiled_modules(obj: Any, name: str) -> list[str]:
    """Return what of *obj* `torch.compile` has wrapped, by its place; *name* is what to call *obj*."""
    return [
        f"{name}.{path}" if path else name
        for path, module in _modules(obj)
        if "_orig_mod" in (variables_of(module).get("_modules") or {})
    ]


def find_training(obj: Any, name: str) -> list[str]:
    """Return the modules in training mode that behave otherwise in it, each kind with its first place.

    Args:
        obj: Any object; none are found in what is no `torch.nn.Module`.
        name: What to call it.
    """
    found: dict[str, str] = {}
    for path, module in _modules(obj):
        if variables_of(module).get("training") is True and _depends_on_mode(module):
            kind = type(module).__qualname__
            found.setdefault(kind, f"{kind} ({name}{'.' if path else ''}{path})")
    return list(found.values())


def _depends_on_mode(module: torch.nn.Module) -> bool:
    if isinstance(module, _DropoutNd):
        return _is_positive(module, "p")
    if isinstance(module, torch.nn.MultiheadAttention | torch.nn.RNNBase):
        return _is_positive(module, "dropout")
    return isinstance(module, _BatchNorm)


def _is_positive(module: torch.nn.Module, name: str) -> bool:
    rate = variables_of(module).get(name)
    return isinstance(rate, int | float) and rate > 0


def _modules(obj: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield a module and those inside with their paths, each once; none of their code runs."""
    waiting = [("", obj)]
    seen: set[int] = set()
    while waiting:
        path, module = waiting.pop()
        if not isinstance(module, torch.nn.Module) or id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        inner: Any = variables_of(module).get("_modules")
        if type(inner) in (dict, OrderedDict):
            waiting += [(f"{path}.{name}" if path else name, part) for name, part in reversed(inner.items())]
