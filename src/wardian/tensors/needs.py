"""Libraries that PyTorch itself needs for what is called, and of which no import tells."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

__all__ = ["noting_needs"]

_NEEDS = ((torch.Tensor, "numpy", "numpy"),)
"""Where PyTorch uses, in native code, a library that it imports when it is imported itself, if it is there:
class, method and top-level name. Without numpy, `Tensor.numpy` ends in "Numpy is not available":
https://github.com/pytorch/pytorch/blob/v2.8.0/torch/csrc/utils/tensor_numpy.cpp#L34"""


@contextmanager
def noting_needs(note: Callable[[str], None]) -> Iterator[None]:
    """Call *note* with the top-level name of each such library that is used while the block runs.

    It replaces methods of PyTorch, so it belongs in a process that runs for this.
    """
    with ExitStack() as undo:
        for cls, method, top in _NEEDS:
            undo.enter_context(_replaced(cls, method, functools.partial(note, top)))
        yield


@contextmanager
def _replaced(cls: Any, method: str, tell: Callable[[], None]) -> Iterator[None]:
    original = getattr(cls, method)
    own = vars(cls).get(method)

    @functools.wraps(original)
    def telling(*args: Any, **kwargs: Any) -> Any:
        tell()
        return original(*args, **kwargs)

    setattr(cls, method, telling)
    try:
        yield
    finally:
        if own is None:
            delattr(cls, method)
        else:
            setattr(cls, method, own)
