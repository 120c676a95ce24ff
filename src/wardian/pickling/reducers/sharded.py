"""Objects that lie in parts on several processes: none of them has all that a case must have."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from wardian.pickling.reducers.row import RefusedError, Row

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["ROWS"]

_KINDS = {
    "DTensor": "it is a DTensor",
    "DeviceMesh": "it is the mesh of the processes that a model is sharded over",
    "FSDPModule": "it is sharded by fully_shard",
    "FullyShardedDataParallel": "it is sharded by FullyShardedDataParallel",
    "ShardedTensor": "it is a ShardedTensor",
}
"""Classes of `torch.distributed`, in whatever module a release has them, and what to say of an instance."""

_FIX = """gather it on every rank, and pack on the first, in a model `whole` that is the same and not sharded:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
        state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        if torch.distributed.get_rank() == 0: whole.load_state_dict(state); wardian.pack(whole, ...)"""

_known: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
"""Class → what to say of an instance; empty of one that is whole."""


def _told(obj: Any) -> str:
    kind = type(obj)
    found = _known.get(kind)
    if found is None:
        names = [base.__name__ for base in kind.__mro__ if base.__module__.startswith("torch.distributed.")]
        found = _known[kind] = next((_KINDS[name] for name in names if name in _KINDS), "")
    return found


def _refuse(capture: Capture, obj: Any) -> NoReturn:
    raise RefusedError(f"{_told(obj)}, and this process has a part of the values only", _FIX)


ROWS = (Row(_told, _refuse),)
