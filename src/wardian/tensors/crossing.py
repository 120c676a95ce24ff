"""Tensors that cross to another process in shared memory, and back. The other side is not trusted."""

from __future__ import annotations

import ctypes
import math
import mmap
from typing import Any

import torch

__all__ = ["Outgoing", "call_with", "received"]

_ALIGNED = 64
_MOST = 65_536
"""Tensors of one message."""
_DIMENSIONS = 64
_LONGEST = 1 << 62
"""Bytes that shape and element of a tensor may multiply to, zeros aside: PyTorch counts in 64 bits."""

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and not str(dtype).startswith(("torch.q", "torch.bits"))
}


class Outgoing:
    """The tensors of one message."""

    def __init__(self) -> None:
        self._tensors: list[torch.Tensor] = []
        self.described: list[dict[str, Any]] = []
        """Descriptions of the tensors, for the message."""
        self.size = 0
        """Bytes that they take in shared memory."""

    def put(self, value: object) -> int | None:
        """Take a tensor and return its number; return None for anything else.

        Raises:
            TypeError: if it is a tensor that cannot cross: sparse, quantised, without data, or of a class
                of its own.
        """
        if not isinstance(value, torch.Tensor):
            return None
        if type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise TypeError(f"a tensor of the class {type(value).__name__} cannot cross, only plain ones do")
        name = str(value.dtype).removeprefix("torch.")
        if value.layout != torch.strided or value.device.type == "meta" or name not in _DTYPES:
            raise TypeError(f"a tensor ({value.dtype}, {value.layout}, {value.device}) cannot cross")
        if value.is_nested:
            raise TypeError("a nested tensor cannot cross")
        self.described.append({"dtype": name, "shape": list(value.shape), "offset": self.size})
        self._tensors.append(value.detach())
        self.size += -(-value.numel() * value.element_size() // _ALIGNED) * _ALIGNED
        return len(self._tensors) - 1

    def write(self, target: mmap.mmap) -> None:
        """Copy them into shared memory of at least `size` bytes."""
        start = ctypes.c_char.from_buffer(target)
        for tensor, told in zip(self._tensors, self.described, strict=True):
            whole = tensor.to("cpu").resolve_conj().resolve_neg().contiguous()
            # Not `copy_`, which wakes a thread for each core: on a busy machine they wait for each other.
            ctypes.memmove(ctypes.addressof(start) + told["offset"], whole.data_ptr(), whole.nbytes)


def received(told: object, source: mmap.mmap, size: int) -> list[torch.Tensor]:
    """Return copies of the tensors of a message that came.

    Args:
        told: What the message says of them.
        source: The shared memory.
        size: Its size, in bytes.

    Raises:
        ValueError: if what is told is no list of tensors that lie in the shared memory.
    """
    if not isinstance(told, list) or len(told) > _MOST:
        raise ValueError(f"it does not say of its tensors what they are, or there are more than {_MOST:,}")
    places = [_place(one, size) for one in told]
    # Several may lie at one place; together they must not take more than came.
    if sum(count * dtype.itemsize for dtype, _, _, count in places) > size:
        raise ValueError("its tensors are larger than what was shared")
    return [_copy(source, *place) for place in places]


def call_with(target: Any, arguments: Any, named: Any) -> Any:
    """Call something without gradients, which do not cross."""
    with torch.no_grad():
        return target(*arguments, **named)


def _place(told: object, size: int) -> tuple[torch.dtype, tuple[int, ...], int, int]:
    if not isinstance(told, dict) or told.keys() != {"dtype", "shape", "offset"}:
        raise ValueError("a tensor is not described by dtype, shape and offset")
    dtype = _DTYPES.get(told["dtype"]) if isinstance(told["dtype"], str) else None
    if dtype is None:
        raise ValueError("a tensor has a dtype that cannot cross")
    shape, offset = told["shape"], told["offset"]
    if not isinstance(shape, list) or len(shape) > _DIMENSIONS:
        raise ValueError("a tensor has no shape")
    if not all(type(length) is int and length >= 0 for length in (*shape, offset)):
        raise ValueError("a shape or an offset is no number of bytes or elements")
    if math.prod(max(length, 1) for length in shape) * dtype.itemsize > _LONGEST:
        raise ValueError("a shape is larger than any tensor")
    count = math.prod(shape)
    if offset % _ALIGNED or offset + count * dtype.itemsize > size:
        raise ValueError("a tensor does not lie in what was shared")
    return dtype, tuple(shape), offset, count


def _copy(
    source: mmap.mmap, dtype: torch.dtype, shape: tuple[int, ...], offset: int, count: int
) -> torch.Tensor:
    # Any byte can be there for a truth, and PyTorch knows two.
    made = torch.empty(shape, dtype=torch.uint8 if dtype is torch.bool else dtype, device="cpu")
    if count:
        start = ctypes.c_char.from_buffer(source)
        ctypes.memmove(made.data_ptr(), ctypes.addressof(start) + offset, count * dtype.itemsize)
    return made.ne(0) if dtype is torch.bool else made
