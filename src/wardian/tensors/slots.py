"""The places of a module that hold tensors, by the names that they have without wrappers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["Slot", "plain_paths", "slots", "without_wrappers"]

_WRAPPERS = (
    ("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod"),
    (
        "torch.distributed.algorithms._checkpoint.checkpoint_wrapper",
        "ActivationWrapper",
        "_checkpoint_wrapped_module",
    ),
    ("torch.nn.parallel", "DataParallel", "module"),
    ("torch.nn.parallel", "DistributedDataParallel", "module"),
)
"""Where a class is that wraps a module, its name, and what it calls the module inside."""

_PRIVATE = frozenset(key for _, _, key in _WRAPPERS if key.startswith("_"))
"""Names that hardly anything but a wrapper gives to a module."""


class Slot(NamedTuple):
    """A place in a module that holds a tensor."""

    name: str
    """Without wrappers."""
    full_name: str
    """As in the state_dict."""
    owner: nn.Module
    key: str
    kind: str
    """As in the index of a case."""
    tensor: torch.Tensor


def plain_paths(module: nn.Module) -> dict[str, str]:
    """Return the path of each module inside, itself included → the path without wrappers."""
    plain: dict[str, str] = {}
    inside: dict[str, str | None] = {}
    for path, part in module.named_modules(remove_duplicate=False):  # parents come first
        parent, _, key = path.rpartition(".")
        above = plain.get(parent, "")
        skipped = not path or inside[parent] == key
        plain[path] = above if skipped else f"{above}.{key}" if above else key
        inside[path] = _name_inside(part)
    return plain


def _name_inside(module: nn.Module) -> str | None:
    """Return what a wrapper calls the module inside; None if the module is no wrapper."""
    for home, kind, key in _WRAPPERS:
        # What was not imported has no instance, and importing the compiler takes seconds.
        cls = getattr(sys.modules.get(home), kind, None)
        if cls is not None and isinstance(module, cls):
            return key
    return None


def slots(module: nn.Module) -> Iterator[Slot]:
    """Yield all places of a module and its parts, a part that is there twice under both names."""
    plain = plain_paths(module)
    for path, owner in module.named_modules(remove_duplicate=False):
        for key, tensor in (*owner._parameters.items(), *owner._buffers.items()):
            if tensor is not None:
                kind = "parameter" if key in owner._parameters else "buffer"
                if key in owner._non_persistent_buffers_set:
                    kind = "transient"
                yield Slot(_joined(plain[path], key), _joined(path, key), owner, key, kind, tensor)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def without_wrappers(name: str) -> str:
    """Return a name of a case without what looks like a wrapper: a case does not have the classes."""
    return ".".join(part for part in name.split(".") if part not in _PRIVATE)
