"""How many bytes the values of a tensor take."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from wardian.domain.manifest import TensorEntry, TensorPart

__all__ = ["bytes_of", "parts_of", "size_of"]


def parts_of(tensor: TensorEntry) -> Iterator[TensorEntry | TensorPart]:
    """Yield what of a tensor has values in a record: itself, or the parts it is made of."""
    parts = tensor.form.parts.values() if tensor.form is not None else ()
    yield from (part for part in (tensor, *parts) if part.record is not None)


def bytes_of(tensor: TensorEntry) -> int:
    """Return the size of the values of a tensor, in bytes."""
    return sum(math.prod(part.shape) * size_of(part.dtype) for part in parts_of(tensor))


_BITS = re.compile(r"[a-z]+(\d+)")


def size_of(dtype: str) -> int:
    """Return the size of an element in bytes, from the name that its dtype has in torch.

    >>> size_of("float32"), size_of("bfloat16"), size_of("float8_e4m3fn"), size_of("quint8"), size_of("bool")
    (4, 2, 1, 1, 1)
    """
    bits = _BITS.match(dtype)
    return 1 if bits is None else max(1, int(bits[1]) // 8)
