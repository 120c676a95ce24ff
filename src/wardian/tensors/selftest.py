"""Run an object as its self-test does, and compare outputs bit for bit."""

from __future__ import annotations

import random
import sys
from contextlib import AbstractContextManager
from typing import Any

import torch

__all__ = ["SEED", "modes", "operator_libraries", "operator_schemas", "run"]

SEED = 0
"""The seed of random generators of PyTorch, Python and numpy before a self-test runs."""


def run(obj: Any, inputs: Any) -> Any:
    """Call *obj* as a self-test does: fixed seed, no gradients, the caller's random state kept.

    What fails so is called once more with gradients: forces, and what equations say of derivatives, are
    gradients, which the call asks for itself.

    Args:
        obj: A callable.
        inputs: A tuple of positional or a dictionary of keyword arguments.
    """
    try:
        return _run(obj, inputs, torch.no_grad())
    except Exception as error:
        # After a failed import the next one may fail otherwise, and tell less.
        if _is_for_want_of_a_module(error):
            raise
    return _run(obj, inputs, torch.enable_grad())


def _is_for_want_of_a_module(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ImportError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _run(obj: Any, inputs: Any, gradients: AbstractContextManager[None]) -> Any:
    numpy = sys.modules.get("numpy")
    state, numpy_state = random.getstate(), None if numpy is None else numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]), gradients:
            torch.manual_seed(SEED)
            random.seed(SEED)
            if numpy is not None:
                numpy.random.seed(SEED)
            return obj(**inputs) if isinstance(inputs, dict) else obj(*inputs)
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)


def modes() -> list[str]:
    """Return what is set for calls of this thread that was not when outputs were recorded."""
    found = [f'torch.autocast("{kind}")' for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
    if torch.get_default_dtype() != torch.float32:
        found.append(f"torch.set_default_dtype({torch.get_default_dtype()})")
    if torch.get_default_device().type != "cpu":
        found.append(f'torch.device("{torch.get_default_device()}")')
    return found


def operator_libraries() -> frozenset[str]:
    """Return the shared libraries that `torch.ops.load_library` has loaded in this process."""
    return frozenset(map(str, torch.ops.loaded_libraries))


def operator_schemas() -> frozenset[str]:
    """Return the schemas of the operators that native code has registered in this process."""
    # A name as it was written: with the name of the overload, and with white space where that did no harm.
    from_python = {name.partition(".")[0] for name in torch.library._defs}
    schemas = torch._C._jit_get_all_schemas()
    return frozenset(str(schema) for schema in schemas if schema.name not in from_python)
